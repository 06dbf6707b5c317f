"""Seeing files: events, rescans, stability, ignore rules, screening."""

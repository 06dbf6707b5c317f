"""Measuring the engine on pixels."""

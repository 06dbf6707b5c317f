"""shaded: a background daemon that publishes shaded copies of an artist's own pictures."""

from __future__ import annotations

__version__ = "0.1.0"

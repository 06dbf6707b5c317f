from __future__ import annotations

from tests.daemon.conftest import make_rig, rig

__all__ = ["make_rig", "rig"]

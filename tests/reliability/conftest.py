from __future__ import annotations

import pytest

from tests.daemon.conftest import make_rig, rig

pytest.register_assert_rewrite("tests.reliability.aftermath")

__all__ = ["make_rig", "rig"]

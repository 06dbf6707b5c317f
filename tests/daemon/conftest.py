from __future__ import annotations

import pytest

from tests.daemon.rig import Rig


@pytest.fixture
def rig(tmp_path):
    """A daemon over fakes."""
    made = Rig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_rig(tmp_path):
    """Build daemons over fakes with other settings."""
    made = []

    def build(**options):
        made.append(Rig(tmp_path, **options))
        return made[-1]

    yield build
    for each in made:
        each.close()

"""Files that are not written to their end: looked at once more, then refused, and taken up anew when they change."""

from __future__ import annotations

import pytest

from tests.daemon.rig import png
from tests.publishing.samples import saved, textured

WHOLE = saved(textured(), "WEBP", lossless=True)
HALF = WHOLE[: len(WHOLE) // 2] + bytes(len(WHOLE) - len(WHOLE) // 2)


def test_a_slow_copy_is_waited_for_and_published_whole(rig):
    """Zeros in the place of what is still to come are told in the status, and refused to nobody."""
    path = rig.put("fox.webp", HALF)
    rig.settle(15)
    assert rig.audience.heard == []
    assert "looked at once more" in rig.daemon.view.troubles[str(path)]
    assert "looked at once more" in rig.daemon.why_not(path)
    rig.put("fox.webp", WHOLE)
    rig.settle(15)
    assert rig.published() == ["fox.webp"]
    assert rig.daemon.view.troubles == {}


def test_a_copy_that_stays_half_is_refused_once_and_taken_up_when_it_changes(rig):
    """After the second quiet period the reason is final, until the file changes."""
    rig.put("fox.webp", HALF)
    rig.settle(50)
    ((name, outcome, reason),) = rig.audience.heard
    assert (name, outcome) == ("fox.webp", "refused")
    assert "only zeros" in reason
    rig.settle(400)
    assert len(rig.audience.heard) == 1
    rig.put("fox.webp", WHOLE)
    rig.settle(15)
    assert rig.published() == ["fox.webp"]


def test_others_do_not_wait_for_it(rig):
    """A picture that is whole is shaded meanwhile."""
    rig.put("fox.webp", HALF)
    rig.put("cow.png", png(1))
    rig.settle(12)
    assert rig.published() == ["cow.png"]


@pytest.mark.parametrize("data", [HALF, WHOLE[: len(WHOLE) // 2]], ids=["zeros", "cut off"])
def test_a_run_with_once_waits_for_the_second_look(make_rig, data):
    """It ends with a reason, not before the file had its second quiet period."""
    rig = make_rig(once=True)
    rig.put("fox.webp", data)
    for _ in range(20):
        rig.daemon.step()
        rig.clock.advance(1.0)
    assert not rig.daemon.finished
    rig.settle(30)
    assert rig.daemon.finished
    assert [outcome for _, outcome, _ in rig.audience.heard] == ["refused"]


def test_a_file_that_is_removed_while_it_waits_is_forgotten(rig):
    """Nothing is said about it afterwards."""
    rig.put("fox.webp", HALF).unlink()
    path = rig.put("wolf.webp", HALF)
    rig.settle(10)
    path.unlink()
    rig.observers[0].see(path)
    rig.settle(60)
    assert rig.audience.heard == []
    assert rig.daemon.view.troubles == {}

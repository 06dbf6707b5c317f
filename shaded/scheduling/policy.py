"""Which waiting picture is begun next beside those under way: pure functions of what waits, what runs and the memory.

Pictures are begun one by one as workers become free, so none waits for a whole group. The first in the queue is begun
as soon as its memory is there. While it is not, smaller ones behind it may use what is left; but each time one does,
the first was passed over, and after :data:`MOST_PASSED` times nothing more is begun until what runs has made room. So
the first waits at most for that many pictures and for what was under way; and since ranks grow with waiting, every
picture becomes the first some day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: How often the first in the queue may be passed over by smaller ones.
MOST_PASSED = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """A picture that may be begun now.

    Attributes:
        job_id: Names it.
        needed: The most memory that it is expected to take, in bytes.
        passed: How often one behind it was begun instead of it, while it was the first.
        alone: Whether it is begun only while nothing else runs.
    """

    job_id: str
    needed: int
    passed: int = 0
    alone: bool = False


def choose(waiting: Sequence[Waiting], running: int, held: int, budget: int) -> int | None:
    """The index of the picture to begin now; ``None`` where none is.

    Args:
        waiting: What may be begun, the first first.
        running: How many pictures are under way.
        held: What these are expected to take at most, in bytes.
        budget: What all together may take, in bytes. While nothing runs the first is begun whatever it needs: waiting
            would not make it smaller.
    """
    if not waiting:
        return None
    if not running:
        return 0
    first = waiting[0]
    reach = len(waiting) if first.passed < MOST_PASSED else 1
    fitting = (i for i in range(reach) if not waiting[i].alone and held + waiting[i].needed <= budget)
    return next(fitting, None)

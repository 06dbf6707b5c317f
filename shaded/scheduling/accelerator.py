"""What a worker's device is besides the processor: how many of its kind there are, and the memory it has of its own."""

from __future__ import annotations


class Accelerator:
    """A processor: it has no memory of its own. What has some overrides everything.

    Attributes:
        names: A name for each device of its kind on this machine, this one's at its own index; one that the driver's
            programs know too, where there is such a name.
    """

    names: tuple[str, ...] = ("",)

    def begin_counting(self) -> None:
        """Count the peak anew."""

    def peak_bytes(self) -> int:
        """The most of its memory that this process held since :meth:`begin_counting`."""
        return 0

    def held_bytes(self) -> int:
        """What of its memory this process holds now, used or not."""
        return 0

    def give_back(self) -> None:
        """Let other programs have what is held and not used."""

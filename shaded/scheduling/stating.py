"""From measurements to the sidecar's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shaded.evidence.measure import Check, Strength, Survival
from shaded.publishing import sidecar
from shaded.shading.surrogates import Surrogate

#: Below this mean pull a person is told that the shading is weak.
WEAK_PULL = 0.05

#: Below this confidence a person is asked to name the concept.
UNSURE = 0.2


def budget(checks: Mapping[str, Check]) -> dict[str, sidecar.Limit]:
    """The sidecar's ``budget``."""
    return {name: sidecar.Limit(limit=one.limit, measured=one.measured, ok=one.ok) for name, one in checks.items()}


def strength(
    measured: Mapping[str, Strength], encoders: Sequence[Surrogate], canvas: str
) -> dict[str, sidecar.Strength]:
    """The sidecar's ``strength``: per encoder, whether it was optimised against, and at which canvas."""
    return {
        encoder.name: sidecar.Strength(
            pull=measured[encoder.name].pull,
            direction=measured[encoder.name].direction,
            canvas={
                canvas: sidecar.CanvasStrength(
                    pull=measured[encoder.name].pull, direction=measured[encoder.name].direction
                )
            },
            optimised=encoder.role != "meter",
            role=encoder.role,
        )
        for encoder in encoders
    }


def survival(measured: Mapping[str, Survival]) -> sidecar.Survival:
    """The sidecar's ``survival``: the worst encoder per laundering, and the worst of all."""
    launderings = {
        name: sidecar.Laundering(pull=one.pull, survival=one.share, surrogate=one.surrogate)
        for name, one in measured.items()
    }
    known = [(one.share, name) for name, one in measured.items() if one.share is not None]
    worst = sidecar.Worst(laundering=min(known)[1], survival=min(known)[0]) if known else None
    return sidecar.Survival(launderings=launderings, worst=worst)


def warnings(concept: sidecar.Concept, pull: float, *, reduced: bool, short_of_memory: bool = False) -> list[str]:
    """Sentences for a person about what was measured."""
    sentences = []
    if pull < WEAK_PULL:
        sentences.append(f"The shading is weak: mean pull {pull:.3f}.")
    if concept.origin == "tagger" and (concept.confidence or 0) < UNSURE:
        sentences.append(
            f"The tagger is unsure that this shows {concept.tag!r}; name the concept in the profile or in the "
            "picture's keywords."
        )
    if short_of_memory:
        sentences.append("Memory was short: the shading was found on a smaller canvas than the settings say.")
    if reduced:
        sentences.append("Strength was measured at the canvas, the size that a trainer would see, not at full size.")
    return sentences

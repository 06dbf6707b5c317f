"""What a trial does, as data: how many pictures, how long each part is trained, which arms and how often."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import shaded
from shaded.evidence.trial.arms import Arm, arms_of
from shaded.evidence.trial.generator import Recipe

#: What may differ between a trial and its continuation in the same folder.
_OPEN = ("mode", "doses", "budgets", "seeds")


@dataclass(frozen=True)
class Plan:
    """A trial.

    Attributes:
        mode: ``tiny`` (seconds, to see that everything runs), ``quick`` or ``full``.
        source: The concept whose pictures are shaded.
        target: The one they are shaded toward.
        related: One like the source that is never shaded, for bleed-through.
        pictures: Of each concept, for the generator; of the user's own, all there are.
        judge_pictures: Of each concept, for the classifier.
        text_steps: Training of the text encoder.
        judge_steps: Training of the classifier.
        shading_steps: The engine's.
        laundered: Whether the engine's steps see launderings.
        recipe: The generator's.
        drawings: Of each prompt, by each model.
        doses: Shares of the source's pictures that are treated.
        budgets: LPIPS of the shading; the first one is the one whose doses vary.
        seeds: Models of each arm.
        data_seed: Of the pictures, the text encoder and the classifier, which all arms share.
    """

    mode: str
    pictures: int
    judge_pictures: int
    text_steps: int
    judge_steps: int
    shading_steps: int
    recipe: Recipe
    drawings: int
    doses: tuple[float, ...]
    budgets: tuple[float, ...]
    seeds: int
    source: str = "cow"
    target: str = "handbag"
    related: str = "bull"
    laundered: bool = False
    data_seed: int = 20

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Controls, doses, budgets."""
        return arms_of(self.doses, self.budgets)

    @property
    def models(self) -> tuple[tuple[Arm, int], ...]:
        """Every model to train, all arms of one seed before the next seed."""
        return tuple((arm, seed) for seed in range(self.seeds) for arm in self.arms)


PLANS: Mapping[str, Plan] = {
    "tiny": Plan(
        mode="tiny", pictures=6, judge_pictures=4, text_steps=3, judge_steps=3, shading_steps=2,
        recipe=Recipe(channels=(32, 32), steps=4, batch=8, drawing_steps=2),
        drawings=2, doses=(1.0,), budgets=(0.07,), seeds=1,
    ),
    "quick": Plan(
        mode="quick", pictures=60, judge_pictures=200, text_steps=500, judge_steps=1500, shading_steps=16,
        recipe=Recipe(),
        drawings=40, doses=(0.5, 1.0), budgets=(0.07,), seeds=1,
    ),
    "full": Plan(
        mode="full", pictures=120, judge_pictures=200, text_steps=1000, judge_steps=1500, shading_steps=24,
        recipe=Recipe(),
        drawings=50, doses=(0.25, 0.5, 1.0), budgets=(0.07, 0.02, 0.15, 0.3), seeds=3,
    ),
}  # fmt: skip


def plan_for(mode: str, **changes: Any) -> Plan:
    """One of :data:`PLANS`; changes that are ``None`` change nothing."""
    return replace(PLANS[mode], **{name: value for name, value in changes.items() if value is not None})


def identity(plan: Plan, facts: Mapping[str, str]) -> str:
    """A hash of all that two models must share to be compared: the plan without :data:`_OPEN`, and ``facts``."""
    fixed = {name: value for name, value in asdict(plan).items() if name not in _OPEN}
    text = json.dumps({"plan": fixed, "facts": dict(facts), "version": shaded.__version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

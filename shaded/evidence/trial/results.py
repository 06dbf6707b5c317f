"""From what each model drew to the trial's document, ``trial.json``."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import diffusers
import torch

import shaded
from shaded.evidence.trial.arms import Arm
from shaded.evidence.trial.materials import Materials, Progress, judge_facts
from shaded.evidence.trial.pictures import with_article
from shaded.evidence.trial.plan import Plan
from shaded.evidence.trial.run import run_model
from shaded.evidence.trial.statistics import Rate, difference, dose_for, rate_of
from shaded.evidence.trial.storage import write_json
from shaded.evidence.trial.text import nearness

SCHEMA_VERSION = 1

#: How the intervals are made, in words.
INTERVALS = (
    "95 %: Wilson's, all seeds' drawings together, their number divided by the design effect between seeds; "
    "differences by Newcombe's method 10"
)


def run_trial(plan: Plan, materials: Materials, command: str, progress: Progress) -> dict[str, Any]:
    """Train and judge every model that is not yet there; ``trial.json`` is written anew after each."""
    judge = judge_facts(materials, plan.source, plan.target)
    results: dict[str, list[dict[str, Any]]] = {}
    document: dict[str, Any] = {}
    for number, (arm, seed) in enumerate(plan.models):
        progress("models", number, len(plan.models))
        results.setdefault(arm.name, []).append(run_model(materials, plan, arm, seed, progress))
        complete = number + 1 == len(plan.models)
        document = trial_document(plan, materials, results, judge, command, complete=complete)
        write_json(materials.folder / "trial.json", document)
    progress("models", len(plan.models), len(plan.models))
    return document


def trial_document(
    plan: Plan,
    materials: Materials,
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    judge: Mapping[str, Any],
    command: str,
    *,
    complete: bool,
) -> dict[str, Any]:
    """The whole document.

    Args:
        plan: Of the trial.
        materials: What went in.
        results: Of each arm's name, one for each seed.
        judge: What is known of the judge.
        command: How the trial is run again.
        complete: Whether every model of the plan is there.
    """
    clean = results.get("clean", ())
    arms = [arm_document(plan, materials, arm, results[arm.name], clean) for arm in plan.arms if arm.name in results]
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "shaded", "version": shaded.__version__},
        "command": command,
        "complete": complete,
        "plan": asdict(plan),
        "models": materials.facts | {"autoencoder_name": materials.autoencoder.name},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
        "device": {"type": materials.autoencoder.device.type, "threads": torch.get_num_threads()},
        "classifier": dict(judge),
        "text": {
            "nearness_to_source": {
                concept: round(nearness(materials.text, with_article(plan.source), with_article(concept)), 4)
                for concept in materials.stock.concepts
                if concept != plan.source
            }
        },
        "intervals": INTERVALS,
        "arms": arms,
        "dose_response": dose_response(plan, arms),
        "seconds": round(sum(sum(one["seconds"].values()) for several in results.values() for one in several), 1),
    }


def arm_document(
    plan: Plan,
    materials: Materials,
    arm: Arm,
    results: Sequence[Mapping[str, Any]],
    clean: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One arm: what was treated, and the rates over its seeds."""
    unrelated = [
        concept for concept in materials.stock.concepts if concept not in (plan.source, plan.target, plan.related)
    ]
    kind = materials.stock.kinds.get(plan.source)
    right = _right(results, unrelated)
    whole = _right(results, materials.stock.concepts)
    document = {
        "name": arm.name,
        "kind": arm.kind,
        "dose": arm.dose,
        "lpips_budget": arm.lpips or None,
        "treated": results[0]["treated"],
        "seeds": [result["seed"] for result in results],
        "flip": asdict(_said(results, plan.source, plan.target)),
        "source_kept": asdict(_said(results, plan.source, plan.source)),
        "bleed_through": asdict(_said(results, plan.related, plan.target)),
        "bleed_through_kind": asdict(_said(results, kind, plan.target)) if kind else None,
        "forced_choice": {
            "flip": asdict(_said(results, plan.source, plan.target, "nearest")),
            "source_kept": asdict(_said(results, plan.source, plan.source, "nearest")),
            "bleed_through": asdict(_said(results, plan.related, plan.target, "nearest")),
        },
        "unrelated_right": asdict(right),
        "collateral": asdict(difference(_right(clean, unrelated), right)) if clean else None,
        "all_right": asdict(whole),
        "right_by_concept": {
            concept: round(_said(results, concept, concept).value, 4) for concept in materials.stock.concepts
        },
        "read": {asked: _sum([result["read"][asked] for result in results]) for asked in results[0]["read"]},
        "seconds": [result["seconds"] for result in results],
    }
    return document


def _said(results: Sequence[Mapping[str, Any]], asked: str, word: str, how: str = "read") -> Rate:
    """How often drawings of one prompt are read as one word, or are ``nearest`` to it."""
    return rate_of([(one[how][asked].get(word, 0), sum(one[how][asked].values())) for one in results])


def _right(results: Sequence[Mapping[str, Any]], concepts: Sequence[str]) -> Rate:
    """How often drawings of some concepts are read as what was asked for."""
    return rate_of(
        [
            (
                sum(one["read"][concept].get(concept, 0) for concept in concepts),
                sum(sum(one["read"][concept].values()) for concept in concepts),
            )
            for one in results
        ]
    )


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {word: sum(one.get(word, 0) for one in counts) for word in sorted({word for one in counts for word in one})}


def dose_response(plan: Plan, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The flip by dose at the first budget, with no dose from the clean arm; and the dose at which half flips."""
    points = [
        {"dose": arm["dose"], **{part: arm["flip"][part] for part in ("value", "low", "high", "seeds")}}
        for arm in arms
        if arm["kind"] == "clean" or (arm["kind"] == "shaded" and arm["lpips_budget"] == plan.budgets[0])
    ]
    points.sort(key=lambda point: float(point["dose"]))
    half = dose_for(0.5, [(point["dose"], point["value"]) for point in points])
    return {"lpips_budget": plan.budgets[0], "points": points, "dose_of_half": half}

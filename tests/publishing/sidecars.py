"""A complete sidecar for tests."""

from __future__ import annotations

import hashlib

from shaded.publishing.sidecar import (
    Alternative,
    Anchor,
    CanvasStrength,
    Concept,
    Engine,
    FileFacts,
    Laundering,
    Limit,
    Model,
    RightsFacts,
    Sidecar,
    Strength,
    Survival,
    Target,
    Tool,
    Worst,
)


def a_sidecar(pixels=b"pixels", name="fox.png"):
    """What a run could have stated about a published file with these bytes."""
    facts = FileFacts(
        name=name,
        sha256=hashlib.sha256(pixels).hexdigest(),
        bytes=len(pixels),
        format="png",
        width=64,
        height=48,
        mode="RGB",
    )
    return Sidecar(
        tool=Tool(name="shaded", version="0.1.0"),
        source=facts.model_copy(update={"sha256": "0" * 64}),
        published=facts,
        concept=Concept(
            tag="fox", confidence=0.7, origin="tagger", alternatives=[Alternative(tag="dog", confidence=0.2)]
        ),
        target=Target(
            concept="handbag",
            anchor=Anchor(name="handbag-1", sha256="1" * 64),
            origin="gallery",
            ground=["#ff0000"] * 16,
        ),
        alt_text="A fox",
        budget={
            "lpips": Limit(limit=0.05, measured=0.04, ok=True),
            "gray_kept": Limit(limit=True, measured=True, ok=True),
        },
        strength={
            "tiny": Strength(
                pull=0.2,
                direction=0.5,
                canvas={"64x48": CanvasStrength(pull=0.2, direction=0.5)},
                optimised=True,
                role="surrogate",
            )
        },
        survival=Survival(
            launderings={
                "jpeg-75": Laundering(pull=0.1, survival=0.5, surrogate="tiny"),
                "blur": Laundering(pull=0.0, survival=None, surrogate="tiny"),
            },
            worst=Worst(laundering="jpeg-75", survival=0.5),
        ),
        engine=Engine(
            models=[Model(name="tiny", revision="1", sha256="2" * 64, role="surrogate")],
            intensity="default",
            quality="fast",
            steps=10,
            seed=7,
            device="cpu",
            dtype="float32",
            canvas=(64, 48),
            canvas_pixels=3072,
            batch=(1, 3, 48, 64),
            scale=1.0,
            seconds=1.5,
            peak_memory_bytes=1000,
        ),
        rights=RightsFacts(data_mining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"),
        warnings=["Ünïcode is kept."],
    )

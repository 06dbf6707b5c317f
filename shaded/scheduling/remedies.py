"""What a person can do about a picture into which no shading went: only what can help is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shaded.errors import Refusal
from shaded.publishing.picture import Picture
from shaded.settings import Budget, Profile
from shaded.shading.limits import HARDEST
from shaded.shading.presets import VISIBILITIES

AS_IT_IS = "Publish it as it is"
#: With fewer pixels than that there is next to nothing that encoders, which look at 8 x 8 pixels at a time, could see.
FEWEST_PIXELS = 16 * 16
#: The limits that a person may have set under ``[budget]``, by their names in a sidecar.
_OWN_LIMITS: Mapping[str, str] = {
    "lpips": "max_lpips", "local_lpips": "max_local_lpips", "psnr_db": "min_psnr_db", "max_delta_e": "max_delta_e",
}  # fmt: skip
_LESS_COMPRESSION = "save the picture with less compression (PNG, or JPEG at quality 90)"


def refuse_invisible(picture: Picture) -> None:
    """Say no to a picture that is so transparent that no change of it could be saved, whatever the intensity.

    Raises:
        Refusal: That is so.
    """
    if picture.alpha is None:
        return
    most = int(picture.alpha.max()) / picture.peak
    largest_change = max(preset.busy for preset in VISIBILITIES.values()) * HARDEST[1] / 255 * picture.peak
    if most * largest_change < 0.5:  # it would be rounded to nothing
        seen = "fully" if most == 0 else "almost fully"
        raise Refusal(f"all of it is {seen} transparent, so that there is nothing to shade", remedy=AS_IT_IS)


def nothing_came_of_it(picture: Picture, profile: Profile, budget: Budget, otherwise: str) -> Refusal:
    """The refusal of a picture that is not changed at all.

    Args:
        picture: It, as it was read.
        profile: With the intensity that was tried.
        budget: A person's own limits.
        otherwise: What happened, where it is not for want of pixels.
    """
    width, height = picture.size
    if width * height < FEWEST_PIXELS:
        return Refusal(f"it has only {width} x {height} pixels, too few for a shading", remedy=AS_IT_IS)
    tight = [name for name in _OWN_LIMITS if _is_tight(name, profile, budget)]
    return Refusal(otherwise, remedy=_sentence(_loosened(tight) if tight else _stronger(profile)))


def over_budget(broken: Collection[str], profile: Profile, budget: Budget) -> str:
    """What to do where the saved file is over these limits, by their names in a sidecar."""
    limits = [name for name in broken if name in _OWN_LIMITS]
    own = [name for name in limits if _own(budget, name) is not None]
    return _sentence(_loosened(own) if own or not limits else _stronger(profile), _LESS_COMPRESSION)


def too_weak(profile: Profile) -> str:
    """What to do where a profile asks for more pull than there is."""
    return _sentence(_stronger(profile), "lower min_pull")


def _stronger(profile: Profile) -> str:
    return "" if profile.intensity == list(VISIBILITIES)[-1] else "choose a higher intensity"


def _own(budget: Budget, name: str) -> float | None:
    limit: float | None = getattr(budget, _OWN_LIMITS[name])
    return limit


def _is_tight(name: str, profile: Profile, budget: Budget) -> bool:
    """Whether a person set a limit that allows less than the intensity does; a higher one would not change it."""
    own, preset = _own(budget, name), VISIBILITIES[profile.intensity]
    usual = {
        "lpips": preset.lpips, "local_lpips": preset.local_lpips, "psnr_db": preset.psnr_db,
        "max_delta_e": preset.delta_e,
    }[name]  # fmt: skip
    return own is not None and (own > usual if name == "psnr_db" else own < usual)


def _loosened(names: Collection[str]) -> str:
    own = ", ".join(_OWN_LIMITS[name] for name in names)
    return f"loosen your own limits under [budget] ({own})" if own else ""


def _sentence(*ways: str) -> str:
    """What can be done, in the order in which it is to be tried."""
    sentence = ", or ".join(filter(None, ways))
    return sentence[:1].upper() + sentence[1:] if sentence else AS_IT_IS

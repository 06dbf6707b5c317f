"""The sidecar: what was done to a picture and what was measured on the published bytes, as JSON.

Schema version 1. Fields may be added within a version; unknown ones are ignored when a sidecar is read, so that an
older program reads a newer one's. Everything under ``published``, ``budget``, ``strength`` and ``survival`` is measured
on the bytes on disk. JSON has no NaN: what could not be measured is ``null``.

Where others may read it (beside its picture) it is written in its public form, :meth:`Sidecar.public`. That leaves out
what only the owner has a use for, and what the owner's original gives again.

A published folder is no safer than an outbox: others may write there too. So a sidecar is opened without following
links, and its length, its number of values and everything in it that the program uses have bounds.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shaded.errors import PictureError, SourceChanged, Transient, Unreadable
from shaded.errors import printable as visible
from shaded.outbox.screening import hash_inside, read_bytes
from shaded.publishing.formats import Format
from shaded.publishing.naming import sidecar_name

if TYPE_CHECKING:  # reading a sidecar must not load numpy
    from shaded.publishing.picture import Picture

SCHEMA_VERSION = 1
#: A sidecar is never longer, in bytes. An ordinary one has 10,000; one whose free words are all as long as they may be,
#: with every character escaped, has less than a third of this.
LARGEST = 1_000_000
#: Commas and opening brackets in it: there are no more values than these, and each bad one costs a kilobyte of memory
#: while errors are collected. An ordinary one has about 300.
_MOST_VALUES = 20_000
#: Of a canvas, in pixels: the most that ``shading.canvas_pixels`` allows, and as much again for the padding.
_LARGEST_CANVAS = 2 * 16_777_216
#: Whole numbers stay within what a signed 64-bit number holds.
_HIGHEST = 2**63 - 1
#: In characters; four texts of nothing but commas, which a picture's metadata may bring, are few enough values.
_LONGEST_WORDS = 4_000
_LONGEST_FAULT = 100
_NEW_ONE = "Shade the picture again to have a new one"
_SCHEMA_ADDRESS = "https://json-schema.org/draft/2020-12/schema"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=_HIGHEST)]
Side = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: A file name has at most 255 bytes, and each may be written as four characters; other names are shorter.
Name = Annotated[str, Field(max_length=1024)]
#: A row of colours; the longest that was ever written has 16.
Colours = Annotated[str, Field(pattern="^(#[0-9a-fA-F]{6})*$", max_length=64 * 7)]


def _clipped(words: object) -> object:
    return words[:_LONGEST_WORDS] if isinstance(words, str) else words


#: Free words, which may come from a picture's metadata: what is too long is cut, so that a sidecar can be written.
Words = Annotated[str, BeforeValidator(_clipped), Field(max_length=_LONGEST_WORDS)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Tool(_Part):
    """The program that made the file."""

    name: Name
    version: Name


class FileFacts(_Part):
    """One file's identity and shape; ``mode`` is the stored mode in Pillow's words, with ``;16`` for 16-bit colour."""

    name: Name
    sha256: Sha256
    bytes: Count
    format: Format
    width: Side
    height: Side
    mode: Name


class Alternative(_Part):
    """Another concept that the tagger considered."""

    tag: Words
    confidence: Finite


class Concept(_Part):
    """What the picture shows, and who said so."""

    tag: Words
    confidence: Finite | None = None
    origin: Literal["tagger", "profile", "metadata", "command"]
    alternatives: list[Alternative] = Field(default=[], max_length=100)


class Anchor(_Part):
    """The picture that the shading moves toward."""

    name: Name
    sha256: Sha256


class Target(_Part):
    """The unrelated concept; ``ground`` is what the anchor was drawn on: a square of colours, a row a string.

    Those are the original's colours, so it is empty in the public form. ``shift`` is where along the canvas' longer
    side the anchor was drawn, 0 to 1; ``mirrored`` whether left and right were exchanged.
    """

    concept: Words
    anchor: Anchor
    origin: Name
    ground: list[Colours] = Field(default=[], max_length=1024)
    shift: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5
    mirrored: bool = False


class Limit(_Part):
    """One limit on visible change and what the published file has; numbers, or yes and no."""

    limit: bool | Finite | None
    measured: bool | Finite | None
    ok: bool


class CanvasStrength(_Part):
    """Pull and cosine at one canvas size."""

    pull: Finite
    direction: Finite


class Strength(_Part):
    """How far one encoder sees the picture moved: 0 not at all, 1 onto the anchor; ``canvas`` by ``WxH``."""

    pull: Finite
    direction: Finite
    canvas: dict[Name, CanvasStrength] = Field(default={}, max_length=100)
    optimised: bool
    role: Name


class Laundering(_Part):
    """Pull after one transform, and that divided by pull without it (``null`` where that is about 0)."""

    pull: Finite
    survival: Finite | None
    surrogate: Name


class Worst(_Part):
    """The transform that takes the most."""

    laundering: Name
    survival: Finite


class Survival(_Part):
    """What is left after each transform, in the encoder that keeps least; of a large canvas, in its middle."""

    launderings: dict[Name, Laundering] = Field(default={}, max_length=1000)
    worst: Worst | None = None


class Model(_Part):
    """A model that had a part in the result."""

    name: Name
    revision: Name
    sha256: Sha256
    role: Name


class Engine(_Part):
    """How it was made: enough to make it again. ``canvas`` is width and height, ``batch`` is N, C, H, W.

    ``seed`` comes from the original's hash, and is ``null`` in the public form.
    """

    models: list[Model] = Field(max_length=1000)
    intensity: Name
    quality: Name
    steps: Count
    seed: Count | None
    device: Name
    dtype: Name
    canvas: tuple[Side, Side]
    canvas_pixels: int = Field(default=0, ge=0, le=_LARGEST_CANVAS)
    batch: tuple[Count, Count, Count, Count]
    scale: Finite
    seconds: Finite
    peak_memory_bytes: Count

    @model_validator(mode="after")
    def _canvas_is_bounded(self) -> Self:
        if self.canvas[0] * self.canvas[1] > _LARGEST_CANVAS:
            raise ValueError(f"canvas: it has more than {_LARGEST_CANVAS:,} pixels")
        return self


class RightsFacts(_Part):
    """What the file itself states: the address of its ``plus:DataMining`` value, the creator, the notice."""

    data_mining: Words = ""
    creator: Words = ""
    notice: Words = ""


class Sidecar(_Part):
    """The whole document."""

    schema_version: Literal[1] = 1
    tool: Tool
    source: FileFacts
    published: FileFacts
    concept: Concept
    target: Target
    alt_text: Words
    budget: dict[Name, Limit] = Field(max_length=100)
    strength: dict[Name, Strength] = Field(max_length=1000)
    survival: Survival
    engine: Engine
    rights: RightsFacts
    warnings: list[Words] = Field(default=[], max_length=1000)

    def to_json(self) -> str:
        """The document as it is written: two spaces, fields in the order of the schema, a closing line end."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def public(self) -> Sidecar:
        """The document as strangers may read it: without the anchor's ground and without the seed."""
        return self.model_copy(
            update={
                "target": self.target.model_copy(update={"ground": []}),
                "engine": self.engine.model_copy(update={"seed": None}),
            }
        )

    def with_names(self, *, source: str | None = None, published: str | None = None) -> Sidecar:
        """The same result under other names, for a renamed or copied source."""
        renamed: dict[str, Any] = {}
        if source is not None:
            renamed["source"] = self.source.model_copy(update={"name": printable(source)})
        if published is not None:
            renamed["published"] = self.published.model_copy(update={"name": printable(published)})
        return self.model_copy(update=renamed)


def printable(name: str) -> str:
    r"""A file name as JSON can hold it: bytes that are no UTF-8 become ``\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def describe(data: bytes, picture: Picture, name: str) -> FileFacts:
    """The facts of a file from its bytes and what they decode to."""
    width, height = picture.size
    return FileFacts(
        name=printable(name),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        format=picture.container.format,
        width=width,
        height=height,
        mode=picture.container.mode,
    )


def summary_of(stated: Sidecar) -> dict[str, Any]:
    """The few numbers that a table shows."""
    pulls = {name: value.pull for name, value in stated.strength.items()}
    measured = {name: limit.measured for name, limit in stated.budget.items()}
    return {
        "concept": stated.concept.tag,
        "target": stated.target.concept,
        "pull": round(sum(pulls.values()) / len(pulls), 4) if pulls else None,
        "pulls": pulls,
        "lpips": measured.get("lpips"),
        "psnr_db": measured.get("psnr_db"),
        "seconds": stated.engine.seconds,
    }


def sidecar_path(picture: Path) -> Path:
    """Where a sidecar stands that is beside its picture."""
    return picture.with_name(sidecar_name(picture.name))


def parse_sidecar(data: bytes | str, path: Path | None = None) -> Sidecar:
    """Read a document.

    Raises:
        Unreadable: It is not a sidecar of a schema version that is known here; the message names the first bad field.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > LARGEST:
        why = f"it is longer than {LARGEST:,} bytes"
    elif sum(raw.count(sign) for sign in (b",", b"[", b"{")) > _MOST_VALUES:
        why = f"it holds more than {_MOST_VALUES:,} values"
    else:
        try:
            return Sidecar.model_validate_json(raw)
        except ValidationError as error:
            why = _first_fault(error)
    # Raised out here, where the collected errors are no part of it: an error may be kept for as long as its picture.
    raise Unreadable(f"the sidecar cannot be read ({why})", path=path, remedy=_NEW_ONE)


def _first_fault(error: ValidationError) -> str:
    """The first bad field, in few visible characters whatever the document holds."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(_short(str(part)) for part in first["loc"])
    return f"{field}: {_short(first['msg'])}" if field else _short(first["msg"])


def _short(text: str) -> str:
    return visible(text[:_LONGEST_FAULT])


def read_sidecar(path: Path, root: Path | None = None) -> Sidecar:
    """Read a sidecar file.

    Args:
        path: The file. It is opened without following a link, and nothing but a regular file is read.
        root: A folder above it, below which no folder may be a link either; without it, the file's own folder.

    Raises:
        Unreadable: It is not a sidecar.
        SourceChanged: There is none, or it changed while it was read.
        Transient: It cannot be read now.
    """
    return parse_sidecar(read_document(path, root), path)


def read_document(path: Path, root: Path | None = None) -> bytes:
    """A sidecar's bytes, not looked into.

    Raises:
        PictureError: See :func:`read_sidecar`.
    """
    try:
        return read_bytes(path, root or path.parent, LARGEST)
    except Transient:
        raise
    except SourceChanged as error:
        if not os.path.lexists(path):
            raise SourceChanged(f"there is no {path.name}", path=path, remedy=_NEW_ONE) from error
        raise
    except PictureError as error:
        raise Unreadable(f"the sidecar cannot be read ({error.what})", path=path, remedy=_NEW_ONE) from error


def is_own_output(picture: Path) -> bool:
    """Whether the sidecar beside a picture names the picture's bytes: then it is this program's own output."""
    try:
        stated = read_sidecar(sidecar_path(picture))
        return hash_inside(picture, picture.parent, stated.published.bytes) == stated.published.sha256
    except PictureError:
        return False


def schema_text() -> str:
    """The JSON Schema of a sidecar, as it ships in ``sidecar.schema.json``; fields may be added within a version."""
    schema = Sidecar.model_json_schema(mode="serialization")
    return json.dumps({"$schema": _SCHEMA_ADDRESS, **schema}, indent=2) + "\n"

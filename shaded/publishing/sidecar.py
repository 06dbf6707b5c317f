"""The sidecar: what was done to a picture and what was measured on the published bytes, as JSON beside it.

Schema version 1. Fields may be added within a version; unknown ones are ignored when a sidecar is read, so that an
older program reads a newer one's. Everything under ``published``, ``budget``, ``strength`` and ``survival`` is measured
on the bytes on disk. JSON has no NaN: what could not be measured is ``null``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shaded.errors import PictureError, Unreadable, from_os_error
from shaded.publishing.formats import Format
from shaded.publishing.naming import sidecar_name

if TYPE_CHECKING:  # reading a sidecar must not load numpy
    from shaded.publishing.picture import Picture

SCHEMA_VERSION = 1
#: A sidecar is never longer, in bytes.
LARGEST = 10_000_000
_SCHEMA_ADDRESS = "https://json-schema.org/draft/2020-12/schema"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)


class Tool(_Part):
    """The program that made the file."""

    name: str
    version: str


class FileFacts(_Part):
    """One file's identity and shape; ``mode`` is the stored mode in Pillow's words, with ``;16`` for 16-bit colour."""

    name: str
    sha256: Sha256
    bytes: int = Field(ge=0)
    format: Format
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    mode: str


class Alternative(_Part):
    """Another concept that the tagger considered."""

    tag: str
    confidence: Finite


class Concept(_Part):
    """What the picture shows, and who said so."""

    tag: str
    confidence: Finite | None = None
    origin: Literal["tagger", "profile", "metadata", "command"]
    alternatives: list[Alternative] = []


class Anchor(_Part):
    """The picture that the shading moves toward."""

    name: str
    sha256: Sha256


class Target(_Part):
    """The unrelated concept; ``ground`` is what the anchor was drawn on: a square of colours, a row a string.

    ``shift`` is where along the canvas' longer side it was drawn, 0 to 1; ``mirrored`` whether left and right were
    exchanged.
    """

    concept: str
    anchor: Anchor
    origin: str
    ground: list[str] = []
    shift: Finite = 0.5
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
    canvas: dict[str, CanvasStrength] = {}
    optimised: bool
    role: str


class Laundering(_Part):
    """Pull after one transform, and that divided by pull without it (``null`` where that is about 0)."""

    pull: Finite
    survival: Finite | None
    surrogate: str


class Worst(_Part):
    """The transform that takes the most."""

    laundering: str
    survival: Finite


class Survival(_Part):
    """What is left after each transform, in the encoder that keeps least; of a large canvas, in its middle."""

    launderings: dict[str, Laundering] = {}
    worst: Worst | None = None


class Model(_Part):
    """A model that had a part in the result."""

    name: str
    revision: str
    sha256: Sha256
    role: str


class Engine(_Part):
    """How it was made: enough to make it again. ``canvas`` is width and height, ``batch`` is N, C, H, W."""

    models: list[Model]
    intensity: str
    quality: str
    steps: int
    seed: int
    device: str
    dtype: str
    canvas: tuple[int, int]
    canvas_pixels: int = 0
    batch: tuple[int, int, int, int]
    scale: Finite
    seconds: Finite
    peak_memory_bytes: int


class RightsFacts(_Part):
    """What the file itself states: the address of its ``plus:DataMining`` value, the creator, the notice."""

    data_mining: str = ""
    creator: str = ""
    notice: str = ""


class Sidecar(_Part):
    """The whole document."""

    schema_version: Literal[1] = 1
    tool: Tool
    source: FileFacts
    published: FileFacts
    concept: Concept
    target: Target
    alt_text: str
    budget: dict[str, Limit]
    strength: dict[str, Strength]
    survival: Survival
    engine: Engine
    rights: RightsFacts
    warnings: list[str] = []

    def to_json(self) -> str:
        """The document as it is written: two spaces, fields in the order of the schema, a closing line end."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

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


def sidecar_path(picture: Path) -> Path:
    """Where the sidecar of a published picture stands."""
    return picture.with_name(sidecar_name(picture.name))


def parse_sidecar(data: bytes | str, path: Path | None = None) -> Sidecar:
    """Read a document.

    Raises:
        Unreadable: It is not a sidecar of a schema version that is known here; the message names the first bad field.
    """
    try:
        return Sidecar.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        why = f"{field}: {first['msg']}" if field else first["msg"]
        raise Unreadable(
            f"the sidecar cannot be read ({why})", path=path, remedy="Shade the picture again to have a new one"
        ) from error


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar file.

    Raises:
        Unreadable: It is not a sidecar.
        SourceChanged: There is none.
        Transient: It cannot be read now.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise from_os_error(error, path) from error
    if len(data) > LARGEST:
        raise Unreadable("the sidecar is far too large to be one", path=path)
    return parse_sidecar(data, path)


def is_own_output(picture: Path) -> bool:
    """Whether the sidecar beside a picture names the picture's bytes: then it is this program's own output."""
    try:
        stated = read_sidecar(sidecar_path(picture))
        with picture.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == stated.published.sha256
    except (PictureError, OSError):
        return False


def schema_text() -> str:
    """The JSON Schema of a sidecar, as it ships in ``sidecar.schema.json``; fields may be added within a version."""
    schema = Sidecar.model_json_schema(mode="serialization")
    return json.dumps({"$schema": _SCHEMA_ADDRESS, **schema}, indent=2) + "\n"

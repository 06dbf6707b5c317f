"""The sidecar's models, its text and its schema."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

import shaded.publishing
from shaded.errors import SourceChanged, Unreadable
from shaded.publishing import sidecar
from shaded.publishing.reading import decode
from tests.publishing.samples import saved, smooth
from tests.publishing.sidecars import a_sidecar

SHIPPED = Path(shaded.publishing.__file__).parent / "sidecar.schema.json"


def test_the_shipped_schema_is_the_models():
    """The schema file in the package is what the models say; ``schema_text()`` writes it."""
    assert SHIPPED.read_text("utf-8") == sidecar.schema_text()


def test_a_document_validates_against_the_shipped_schema():
    """What is written is valid by a validator that knows nothing of the models."""
    schema = json.loads(SHIPPED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(a_sidecar().to_json()), schema)


@pytest.mark.parametrize("field", ["source", "published", "concept", "target", "alt_text", "budget", "strength",
                                   "survival", "engine", "rights", "warnings", "tool", "schema_version"])  # fmt: skip
def test_the_schema_asks_for_every_field_of_the_interface(field):
    """A document without one of the promised fields is invalid."""
    document = json.loads(a_sidecar().to_json())
    del document[field]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json.loads(SHIPPED.read_text("utf-8")))


def test_a_document_reads_back_as_it_was(tmp_path):
    """Writing and reading are inverse, and the text is stable."""
    stated = a_sidecar()
    path = tmp_path / "fox.png.shaded.json"
    path.write_text(stated.to_json(), "utf-8")
    assert sidecar.read_sidecar(path) == stated
    assert sidecar.read_sidecar(path).to_json() == stated.to_json()
    assert stated.to_json().startswith('{\n  "schema_version": 1,\n  "tool"')


def test_a_newer_field_is_ignored_and_another_version_is_not():
    """Fields may be added within a version; another version cannot be read."""
    document = json.loads(a_sidecar().to_json())
    assert sidecar.parse_sidecar(json.dumps({**document, "added_later": 1})) == a_sidecar()
    with pytest.raises(Unreadable, match="schema_version"):
        sidecar.parse_sidecar(json.dumps({**document, "schema_version": 2}))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\x00", '{"schema_version": 1}', "[" * 100_000])
def test_anything_else_is_unreadable(text):
    """Broken and foreign JSON is refused with the sidecar's error, not with another."""
    with pytest.raises(Unreadable, match="sidecar"):
        sidecar.parse_sidecar(text)


def test_a_missing_sidecar_says_so(tmp_path):
    """No file is another trouble than a bad one."""
    with pytest.raises(SourceChanged):
        sidecar.read_sidecar(tmp_path / "none.shaded.json")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_is_nan(number):
    """JSON has no NaN, so that no model takes one."""
    with pytest.raises(ValidationError):
        sidecar.Laundering(pull=number, survival=None, surrogate="x")
    with pytest.raises(ValidationError):
        sidecar.Limit(limit=None, measured=number, ok=True)


def test_a_yes_or_no_limit_stays_one():
    """``gray_kept`` is written as true or false and not as 1.0."""
    limit = sidecar.Limit(limit=True, measured=False, ok=False)
    assert limit.model_dump_json() == '{"limit":true,"measured":false,"ok":false}'
    assert sidecar.Limit.model_validate_json('{"limit":1,"measured":0.5,"ok":true}').limit == 1.0


def test_the_result_can_be_stated_under_other_names():
    """A copied source has the same facts under its own name."""
    renamed = a_sidecar().with_names(source="wolf.png", published=os.fsdecode(b"w\xfflf.png"))
    assert renamed.source.name == "wolf.png"
    assert renamed.published.name == "w\\xfflf.png"
    assert renamed.published.sha256 == a_sidecar().published.sha256
    assert json.loads(renamed.to_json())["published"]["name"] == "w\\xfflf.png"


def test_facts_come_from_the_bytes():
    """Hash, length, size, format and mode are those of the file."""
    data = saved(smooth(channels=4), "PNG")
    facts = sidecar.describe(data, decode(data), "fox.png")
    assert facts == sidecar.FileFacts(
        name="fox.png",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        format="png",
        width=64,
        height=48,
        mode="RGBA",
    )


def test_own_output_is_known_by_its_sidecar_and_only_while_unchanged(tmp_path):
    """A picture is our own output when the sidecar beside it names its bytes, and not after it was edited."""
    picture = tmp_path / "fox.png"
    picture.write_bytes(b"pixels")
    assert not sidecar.is_own_output(picture)
    facts = a_sidecar().published.model_copy(update={"sha256": hashlib.sha256(b"pixels").hexdigest()})
    stated = a_sidecar().model_copy(update={"published": facts})
    sidecar.sidecar_path(picture).write_text(stated.to_json(), "utf-8")
    assert sidecar.is_own_output(picture)
    picture.write_bytes(b"pixels, edited")
    assert not sidecar.is_own_output(picture)


def test_reading_a_sidecar_loads_no_imaging_library():
    """The daemon reads sidecars and screens files without numpy, Pillow or torch in its memory."""
    code = (
        "import sys; import shaded.publishing.sidecar, shaded.publishing.atomic, shaded.outbox.screening; "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'PIL', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

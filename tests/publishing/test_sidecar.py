"""The sidecar's models, its text and its schema."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

import shaded.publishing
from shaded.errors import PictureError, SourceChanged, Unreadable
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


def _altered(*keys, value):
    """A sidecar in which one field has another value."""
    document = json.loads(a_sidecar().to_json())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("engine", "canvas"), [10**6, 10**6]),
        (("engine", "canvas"), [-64, -64]),
        (("engine", "canvas_pixels"), 10**12),
        (("engine", "batch"), [1, 3, 10**30, 64]),
        (("engine", "seed"), -1),
        (("engine", "models"), [{"name": "a", "revision": "b", "sha256": "0" * 64, "role": "c"}] * 1001),
        (("target", "ground"), ["#000000"] * 1025),
        (("target", "ground"), ["#000000" * 1000]),
        (("target", "ground"), ["no colour"]),
        (("target", "shift"), 1e300),
        (("target", "shift"), -0.5),
        (("target", "shift"), float("nan")),
        (("published", "width"), 0),
        (("published", "height"), 10**40),
        (("published", "bytes"), -1),
        (("published", "name"), "x" * 100_000),
        (("published", "sha256"), "0" * 63 + "\n"),
        (("source", "mode"), "x" * 100_000),
        (("strength",), {str(n): {} for n in range(1001)}),
        (("strength", "x" * 2000), {}),
        (("budget", "lpips", "limit"), float("inf")),
        (("budget", "lpips", "limit"), 10**400),
        (("survival", "launderings"), {str(n): {} for n in range(1001)}),
    ],
)
def test_what_a_sidecar_states_is_bounded(keys, value):
    """Whatever the program uses of a sidecar is refused beyond any honest size, before it is used."""
    with pytest.raises(Unreadable, match=rf"the sidecar cannot be read \(.*{keys[0]}"):
        sidecar.parse_sidecar(_altered(*keys, value=value))


def test_earlier_sidecars_are_still_read():
    """Fields that came later may be missing, a ground's cells may stand in a string each, and words may be endless."""
    document = json.loads(a_sidecar().to_json())
    for key in ("shift", "mirrored"):
        del document["target"][key]
    del document["engine"]["canvas_pixels"]
    document["target"]["ground"] = ["#0a141e"] * 16
    document["rights"]["notice"] = "All rights reserved. " * 20_000
    stated = sidecar.parse_sidecar(json.dumps(document))
    assert stated.target.shift == 0.5
    assert len(stated.target.ground) == 16
    assert stated.rights.notice.startswith("All rights reserved")


def test_endless_words_of_a_picture_still_make_a_sidecar_that_can_be_read():
    """A title or notice of megabytes, of commas or control characters, neither stops the writing nor the reading."""
    for words in ("," * 3_000_000, "\x01" * 3_000_000):
        stated = sidecar.Sidecar.model_validate(
            a_sidecar().model_dump()
            | {"alt_text": words, "rights": {"data_mining": words, "creator": words, "notice": words}}
        )
        text = stated.to_json()
        assert len(text) < sidecar.LARGEST / 3
        assert sidecar.parse_sidecar(text) == stated


def _hostile(kind):
    """A sidecar of about a megabyte that was made to hurt whoever collects its errors."""
    document = json.loads(a_sidecar().to_json())
    count = 1_000_000
    if kind == "wrong models":
        document["engine"]["models"] = [0] * (count // 2 - 4000)
    elif kind == "wrong limits":
        document["budget"] = {str(n): 0 for n in range(90_000)}
    elif kind == "wrong strengths":
        document["strength"] = {str(n): {} for n in range(90_000)}
    elif kind == "as many values as are looked at":
        document["strength"] = {str(n): {} for n in range(9_800)}
        document["added"] = "x" * 800_000
    elif kind == "unknown fields":
        document["added"] = [{}] * (count // 3 - 4000)
    elif kind == "one long key":
        document["budget"] = {"\x1b[2J" * 100_000: 0}
    text = json.dumps(document, separators=(",", ":"))
    if kind == "nested":
        text = text[:-1] + ',"added":' + "[" * 490_000 + "]" * 490_000 + "}"
    elif kind == "the same key":
        text = "{" + '"budget":0,' * 90_000 + text[1:]
    elif kind == "endless number":
        text = text.replace('"seed":', '"seed":' + "9" * 950_000)
    return text


_KINDS = ["wrong models", "wrong limits", "wrong strengths", "as many values as are looked at", "unknown fields",
          "one long key", "nested", "the same key", "endless number"]  # fmt: skip
_PEAK = """
import resource, sys
from shaded.errors import Unreadable
from shaded.publishing.sidecar import parse_sidecar
data = open(sys.argv[1], "rb").read()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    parse_sidecar(data)
except Unreadable as error:
    print((peak() - before) // 1024, ascii(str(error)))
"""


@pytest.mark.parametrize("kind", _KINDS)
def test_a_hostile_sidecar_costs_neither_memory_nor_patience(tmp_path, kind):
    """A megabyte that was made to hurt is refused in few words, and takes less than 100 MB to refuse."""
    path = tmp_path / "evil.shaded.json"
    path.write_text(_hostile(kind), "utf-8")
    assert 600_000 < path.stat().st_size <= sidecar.LARGEST
    done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True, timeout=60)
    megabytes, message = done.stdout.split(" ", 1)
    assert int(megabytes) < 100
    assert len(message) < 1000
    assert "the sidecar cannot be read" in message


def test_what_is_too_long_is_not_parsed(monkeypatch):
    """Ten megabytes are refused by their length alone."""
    monkeypatch.setattr(sidecar.Sidecar, "model_validate_json", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(Unreadable, match="longer than 1,000,000 bytes"):
        sidecar.parse_sidecar(b" " * 10_000_000)


def test_an_error_is_short_visible_and_holds_nothing_of_the_document():
    """A key of a megabyte that would clear the screen is cut and escaped, and no error keeps the document alive."""
    with pytest.raises(Unreadable) as caught:
        sidecar.parse_sidecar(_hostile("one long key"))
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_of_a_key_that_stands_twice_the_last_one_counts():
    """Duplicate keys are harmless: what is read is one document, with the bounds of one."""
    text = a_sidecar().to_json()
    assert sidecar.parse_sidecar('{"alt_text": 5, "budget": null,' + text[1:]) == a_sidecar()


def _link(path):
    path.with_name("elsewhere").write_text(a_sidecar().to_json())
    path.symlink_to("elsewhere")


def _socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _terabyte(path):
    path.touch()
    os.truncate(path, 10**12)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_link, "symbolic link"),
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (_socket, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "symbolic link"),
        (lambda path: path.write_bytes(b""), "empty"),
        (_terabyte, "limit"),
    ],
    ids=["link", "pipe", "folder", "socket", "device", "empty", "terabyte"],
)
def test_whatever_has_a_sidecars_name_is_told_and_not_waited_for(tmp_path, make, why):
    """No link is followed, no pipe waited for, no terabyte read; a folder and a socket are no sidecars."""
    path = tmp_path / "f.png.shaded.json"
    make(path)
    with pytest.raises(Unreadable, match=why):
        sidecar.read_sidecar(path)
    assert not sidecar.is_own_output(tmp_path / "f.png")


@pytest.mark.parametrize("name", ["x" * 300, "nul\0l", "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error_of_that_file(tmp_path, name):
    """Names too long, with a zero byte, or of no bytes at all end in this project's error."""
    with pytest.raises(PictureError):
        sidecar.read_sidecar(tmp_path / name)

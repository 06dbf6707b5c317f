"""Reading a settings file: what it holds, or what is wrong with it and in which line."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from shaded.configuration.places import Written, absolute, is_lasting
from shaded.errors import ConfigurationError, ShadedError, Unavailable

#: A settings file is a page of text. What is longer is another file, or has no end.
MOST_BYTES = 1_000_000
_LONGEST_SHOWN = 80

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip
_SAVE = "Save it as UTF-8 (editors offer that under Save As, as the encoding)"
#: Quotes that an editor made typographic, and those of keyboards and scripts that TOML does not know.
_QUOTES = re.compile("[\u2018-\u201f\u00ab\u00bb\u00b4`\uff02\uff07]")
_UNSEEN = re.compile("[\u00a0\u00ad\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
_LINE = re.compile(r"line (\d+)")
#: A value that begins like a path or a word, without quotes.
_BARE = re.compile(r"\A\s*[\w.-]+\s*=\s*(?!true\b|false\b|inf\b|nan\b)[~/$%.A-Za-z]")
_FOLDER = re.compile(r"\A\s*\[+\s*folder\s*\]")

#: What came out of a pipe, which can be read once, while settings are read again when somebody asks for that.
_from_pipes: dict[Path, bytes] = {}


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a settings file; each text in it knows where its relative paths begin: beside the file.

    What comes out of a pipe has no place, and its paths begin in the working directory.

    Raises:
        ConfigurationError: The file is missing or not TOML.
        Unavailable: It cannot be read now.
    """
    text = _decoded(_read(path), path)
    try:
        return dict(Written.within(tomllib.loads(text), absolute(path.parent if is_lasting(path) else "")))
    except RecursionError as error:
        raise ConfigurationError(
            "the settings file is nested too deeply", path=path, remedy="Write it anew; config.example.toml shows how"
        ) from error
    except ValueError as error:  # tomllib's own, and what it meets in numbers that are too long
        shown, remedy = _about_line(str(error), text)
        raise ConfigurationError(
            f"the settings file is not valid TOML: {error}{shown}", path=path, remedy=remedy
        ) from error


def _read(path: Path) -> bytes:
    if path in _from_pipes and not os.path.isfile(path):  # noqa: PTH113 - never fails
        return _from_pipes[path]
    try:
        with path.open("rb") as stream:
            lasting = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            data = stream.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        dangling = ": it is a link to a file that is not there" if path.is_symlink() else ""
        raise ConfigurationError(
            f"there is no such settings file{dangling}",
            path=path,
            remedy="Name another with --config, or copy config.example.toml",
        ) from error
    except OSError as error:
        raise _unreadable(error, path) from error
    except ValueError as error:
        raise ConfigurationError("no file can have such a name", path=path, remedy="Name another") from error
    if len(data) > MOST_BYTES:
        raise ConfigurationError(
            f"that is no settings file: it has more than {MOST_BYTES:,} bytes", path=path, remedy="Name another"
        )
    if not lasting:
        _from_pipes[path] = data
    return data


def _unreadable(error: OSError, path: Path) -> ShadedError:
    """A name that leads nowhere is wrong; anything else may pass: a network home may be away."""
    if error.errno == errno.EISDIR:
        return ConfigurationError("that is a folder and no settings file", path=path, remedy="Name the file in it")
    what = f"the settings file cannot be read: {error.strerror or error}"
    if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
        return ConfigurationError(what, path=path, remedy="Name another with --config")
    return Unavailable(what, path=path, remedy="Give your user access to it, or name another with --config")


def _decoded(data: bytes, path: Path) -> str:
    """The text; a byte order mark at its beginning says nothing, as editors on Windows write one."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise ConfigurationError(f"the settings file is saved as {name}", path=path, remedy=_SAVE)
    if b"\0" in data:
        raise ConfigurationError(
            "the settings file holds zero bytes: it is saved as UTF-16, or is no text", path=path, remedy=_SAVE
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"the settings file is not valid UTF-8: line {line} holds the byte 0x{data[error.start]:02x}",
            path=path,
            remedy=_SAVE,
        ) from error


def _about_line(message: str, text: str) -> tuple[str, str]:
    """The line that a parser complains of, as part of a sentence, and what to do about it."""
    lines = text.split("\n")
    found = _LINE.search(message)
    line = lines[min(int(found[1]), len(lines)) - 1].strip() if found else ""
    unseen = _UNSEEN.search(line)
    code = f"U+{ord(unseen[0]):04X}" if unseen else ""
    twice = message.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate"))
    advice = (
        ("\r" in line, "Save it with the line ends of this system (LF)"),
        (_QUOTES.search(line), 'Write plain quotes (") in that line; typographic ones are none here'),
        (unseen, f"Write that line anew: it holds a character that cannot be seen ({code})"),
        (twice and _FOLDER.match(line), "Write [[folder]], with two brackets, for each of several folders"),
        (twice, "That key or table stands in the file twice: keep one of them"),
        ("\\" in line, "Put 'single quotes' around a text with backslashes"),
        (_BARE.match(line), 'Put quotes around the text, as in outbox = "~/Pictures/outbox"'),
        (True, "Mend that line" if line else "Mend the file; config.example.toml shows how it is written"),
    )
    shown = f", in: {line[:_LONGEST_SHOWN]}" if line else ""
    return shown, next(what for holds, what in advice if holds)

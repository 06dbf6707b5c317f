"""Which names in an outbox are never pictures to take, and why.

Three layers of gitignore-style patterns, later ones win and ``!pattern`` takes back: the names of other programs
(``other_programs.py``), a ``.shadedignore`` file in the outbox, the settings' ``watching.ignore``. As in git, nothing
inside an ignored folder can be taken back without taking back the folder.

Anybody who can write into the outbox writes patterns, so they are matched by RE2, in time that grows with the length of
the name and never with its powers. Python's own engine would need years for ``*a*a*a*a*b``; it matches nothing here.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path, PurePath

import re2
from pathspec import GitIgnoreSpec

from shaded.errors import ConfigurationError
from shaded.outbox.other_programs import ANY_CASE, AS_WRITTEN, whose

IGNORE_FILE = ".shadedignore"
#: How much of an ignore file is read, in bytes.
LARGEST_IGNORE_FILE = 65_536
#: Patterns of a layer, characters of one, and how many of ``*``, ``?`` and ``[`` they may have together.
#: The time for one name grows with these; at the limits it is some milliseconds.
MOST_PATTERNS = 1000
LONGEST_PATTERN = 255
MOST_WILDCARDS = 2000
#: For how many folders the answer is kept, since a folder is asked about for each file in it.
_FOLDERS_KEPT = 4096
#: How many lines that do not hold are named.
_NAMED = 5
#: Some built-in pattern holds for this name, so an answer without any means that the matcher has too little memory.
_PROBE = ".probe"
#: RE2 wants text. Bytes of a name that are none stand as lone surrogates, and become characters of a private plane.
_AS_TEXT = {code: 0x100000 + code for code in range(0xD800, 0xE000)}


def _any_case(pattern: str) -> str:
    """``*.tmp`` becomes ``*.[tT][mM][pP]``; a leading ``#`` or ``!`` is meant literally and escaped."""
    spelled = "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in pattern)
    return f"\\{spelled}" if spelled[0] in "#!" else spelled


class _UnfitError(ValueError):
    """Patterns that cannot be matched."""


def _compiled(lines: Sequence[str]) -> GitIgnoreSpec:
    """Compile patterns for RE2; raises :class:`_UnfitError` with the reason where that is not possible."""
    try:
        with warnings.catch_warnings():  # what Python's engine would make of ``[[:alpha:]]`` does not matter
            warnings.simplefilter("ignore", FutureWarning)
            return GitIgnoreSpec.from_lines([line.translate(_AS_TEXT) for line in lines], backend="re2")
    except (ValueError, OverflowError, RecursionError, re.error, re2.error) as error:
        raise _UnfitError(str(error)) from error


def _working(lines: Sequence[str]) -> GitIgnoreSpec | None:
    """Compile patterns and see that RE2 has memory enough to answer; ``None`` where it has not."""
    try:
        spec = _compiled(lines)
    except _UnfitError:
        return None
    return None if spec.check_file(_PROBE).index is None else spec


def _limited(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """The lines of one layer, without blanks and comments, up to the limits; and what is over them, a clause each."""
    patterns = [line for line in lines if line.strip() and not line.startswith("#")]
    long = [line for line in patterns if len(line) > LONGEST_PATTERN]
    over = [f"{line[:40]!r} is longer than {LONGEST_PATTERN} characters" for line in long]
    patterns = [line for line in patterns if len(line) <= LONGEST_PATTERN]
    wildcards = list(accumulate(sum(map(line.count, "*?[")) for line in patterns))
    most = min(MOST_PATTERNS, bisect_right(wildcards, MOST_WILDCARDS))
    if most < len(patterns):
        limit = f"{MOST_PATTERNS} patterns and {MOST_WILDCARDS} of * ? [ in all are the limit"
        over.insert(0, f"the last {len(patterns) - most} patterns are too many ({limit})")
    return patterns[:most], over


def _sound(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """The lines that are patterns each by itself, and why the others are none, a clause each."""
    sound: list[str] = []
    unsound: list[str] = []
    for line in lines:
        try:
            _compiled([line])
            sound.append(line)
        except _UnfitError as error:
            unsound.append(f"{line[:40]!r} is no gitignore pattern ({error})")
    return sound, unsound


@lru_cache(8)
def _of_settings(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The settings' patterns; raises :class:`ConfigurationError` where one of them cannot hold."""
    lines, over = _limited(patterns)
    lines, unsound = _sound(lines)
    if over or unsound:
        said = "; ".join((over + unsound)[:_NAMED])
        raise ConfigurationError(f"watching.ignore: {said}", remedy="Mend the patterns, or use fewer")
    return tuple(lines)


def _ever_fewer(lines: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """An ignore file's patterns: all, those that are sound, none; each time with what is left out, a clause each.

    All of them mostly hold, and to try each by itself takes longer than to try all together.
    """
    lines, over = _limited(lines)
    yield lines, over
    lines, unsound = _sound(lines)
    yield lines, over + unsound
    yield [], [*over, *unsound, "the patterns are too much together, and none of them holds"]


class IgnoreRules:
    """The three layers, compiled.

    Args:
        patterns: The settings' patterns; malformed ones and too many are a :class:`ConfigurationError`.
        file_patterns: Lines of ``.shadedignore``; what cannot be matched is left out.

    Attributes:
        left_out: Which lines of ``.shadedignore`` do not hold, and why, as a clause; empty where all do.
    """

    def __init__(self, patterns: Iterable[str] = (), file_patterns: Iterable[str] = ()) -> None:
        built_in = [(_any_case(pattern), f"{pattern} (built in)") for pattern in ANY_CASE]
        built_in += [(pattern, f"{pattern} (built in)") for pattern in AS_WRITTEN]
        wanted = [(line, f"{line} (watching.ignore)") for line in _of_settings(tuple(patterns))]
        for lines, unfit in _ever_fewer(file_patterns):
            layers = [*built_in, *((line, f"{line} ({IGNORE_FILE})") for line in lines), *wanted]
            spec = _working([line for line, _ in layers])
            self.left_out = "; ".join(unfit[:_NAMED] + ([f"{len(unfit) - _NAMED} more"] if unfit[_NAMED:] else []))
            if spec is not None:
                break
        else:
            raise ConfigurationError("watching.ignore: these are too much together", remedy="Use fewer patterns")
        self._spec = spec
        self._lines = tuple(line for line, _ in layers)
        self._reasons = tuple(reason for _, reason in layers)
        self._of_folder = lru_cache(_FOLDERS_KEPT)(partial(self.own, is_dir=True))

    @classmethod
    def for_root(cls, root: Path, patterns: Iterable[str] = ()) -> IgnoreRules:
        """The rules of one outbox, with its ``.shadedignore`` where it has one."""
        return cls(patterns, read_ignore_file(root).lines)

    def own(self, relative: str, is_dir: bool) -> str | None:
        """Why a path is ignored, given that no folder above it is."""
        text = relative if relative.isascii() else relative.translate(_AS_TEXT)
        verdict = self._spec.check_file(f"{text}/" if is_dir else text)
        if verdict.include and verdict.index is not None:
            return self._reasons[verdict.index]
        name = text.rpartition("/")[2]
        taken_back = verdict.index is not None and _means(self._lines[verdict.index], name, is_dir)
        return None if taken_back else whose(name, is_dir)

    def ignored(self, relative: PurePath, is_dir: bool = False) -> str | None:
        """Why a path relative to the outbox is ignored: the pattern and where it stands; or ``None``."""
        above = ""
        for name in relative.parts[:-1]:
            above += name
            reason = self._of_folder(above)
            if reason is not None:
                return reason
            above += "/"
        return self.own(above + relative.name, is_dir) if relative.name else None


def _means(pattern: str, name: str, is_dir: bool) -> bool:
    """Whether a pattern that fits a path is about its name, and not about a folder on the way to it."""
    if pattern.rstrip().endswith("/"):
        return is_dir
    last = pattern.translate(_AS_TEXT).rstrip().removeprefix("!").rpartition("/")[2]
    return last == name or any(wildcard in last for wildcard in "*?[\\")


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """What an outbox's ``.shadedignore`` says.

    Attributes:
        lines: Its lines.
        trouble: Why it does not count, or not as a whole, as a clause; empty where it does, and where there is none.
    """

    lines: tuple[str, ...] = ()
    trouble: str = ""


def read_ignore_file(root: Path) -> IgnoreFile:
    """Read ``.shadedignore``; one that is a link, no file, not readable or no text counts as absent."""
    path = root / IGNORE_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return IgnoreFile(trouble="it does not count, since it is no file")
            data = os.pread(descriptor, LARGEST_IGNORE_FILE + 1, 0)
        finally:
            os.close(descriptor)
        trouble = ""
        if len(data) > LARGEST_IGNORE_FILE:  # a pattern that is cut off may mean much more than it did
            data = data[: data.rfind(b"\n", 0, LARGEST_IGNORE_FILE) + 1]
            trouble = f"only its first {len(data)} bytes count, since it has more than {LARGEST_IGNORE_FILE}"
        return IgnoreFile(tuple(data.decode("utf-8-sig").split("\n")), trouble)
    except FileNotFoundError:
        return IgnoreFile()
    except UnicodeDecodeError:
        return IgnoreFile(trouble="it does not count, since it is no text in UTF-8")
    except OSError as error:
        return IgnoreFile(trouble=f"it does not count, since it cannot be read ({error.strerror or error})")

"""What must hold after the torment."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from shaded.publishing.naming import SIDECAR_SUFFIX, numbered
from shaded.publishing.reading import decode
from shaded.publishing.sidecar import read_sidecar
from shaded.publishing.sidecar_places import sidecar_in
from tests.reliability.engine import rendered_counts
from tests.reliability.torment import looks, sha

STATE_FILES = {
    ".shaded-state",
    "installation.secret",
    "ledger.sqlite3",
    "ledger.sqlite3-wal",
    "ledger.sqlite3-shm",
    "staging",
    "daemon.lock",
}


def possible_targets(wanted):
    """The names that a copy may have: the wanted one, or with a number where that is somebody else's."""
    return [wanted, *(wanted.with_name(numbered(wanted.name, number)) for number in range(1, 12))]


def assert_aftermath(torment):
    """Everything that must hold when a daemon has done the rest."""
    for path, before in torment.foreign.items():
        assert looks(path) == before, f"somebody's {path} has changed"
    named = _assert_every_source_has_its_copy(torment)
    _assert_no_name_is_given_twice(torment)
    _assert_nothing_is_left(torment, named)
    states = {row["state"] for row in torment.ledger("SELECT DISTINCT state FROM jobs")}
    assert states == {"published"}


def _assert_every_source_has_its_copy(torment):
    """Each source is untouched and its row names one whole pair; returns the copies that are named."""
    rows = {torment.name_of(row): row for row in torment.rows()}
    assert set(rows) >= set(torment.inputs)
    assert set(rows) <= set(torment.inputs) | torment.gone
    named = set()
    for name, row in rows.items():
        if row["published"] is None:
            assert name in torment.gone
            continue
        target = Path(os.fsdecode(row["published"]))
        named.add(target)
        assert target in possible_targets(torment.target(name)), f"{name} became {target}"
        if name in torment.inputs:
            assert (torment.base / name).read_bytes() == torment.inputs[name], name
            assert row["sha256"] == sha(torment.inputs[name]), name
        if not torment.retouched & {target, *_sidecars(torment, target)}:  # nobody has touched it since
            _assert_whole(torment, name, row, target)
    return named


def _assert_whole(torment, name, row, target):
    """A copy, its sidecar and its row are about the same picture, made by the profile that it was taken up with."""
    data, source = target.read_bytes(), torment.contents[row["sha256"]]
    stated = read_sidecar(torment.sidecar(target))
    assert sha(data) == stated.published.sha256 == row["published_sha256"] == row["output_sha256"], name
    assert stated.source.sha256 == row["sha256"], name
    assert (stated.source.name, stated.published.name) == (Path(name).name, target.name)
    longest, side = max(decode(source).size), json.loads(row["profile"])["max_side"]
    assert max(decode(data).size) == min(longest, side or longest), name
    assert target.stat().st_nlink == 1


def _assert_no_name_is_given_twice(torment):
    """No two sources have one copy."""
    names = Counter(row["published"] for row in torment.rows() if row["published"] is not None)
    assert [name for name, count in names.items() if count > 1] == []


def _assert_nothing_is_left(torment, named):
    """In the publish folders are the copies, their sidecars and what is somebody's; nothing is left anywhere.

    A copy stays when its source is deleted, whether the ledger still knows the source or not; and a picture stays whose
    sidecar a person changed, since the pair is that person's from then on.
    """
    found = {path for folder in ("pub", "turned pub") for path in (torment.base / folder).iterdir()}
    found |= {path for path in (torment.base / "private").rglob("*") if path.is_file()}
    expected = named | {torment.sidecar(path) for path in named}
    theirs = set(torment.foreign)
    # What was ours before a person saved the picture anew.
    beside_theirs = {sidecar for path in theirs for sidecar in _sidecars(torment, path)}
    assert expected - theirs - beside_theirs - found == set(), "copies are missing"
    annotated = {torment.places.picture_of(path) for path in theirs if _is_sidecar(path)}
    # Its own sidecar may stand elsewhere: somebody's file is where the next version's would go.
    annotated |= {sidecar for path in annotated & named for sidecar in _sidecars(torment, path)}
    left = found - theirs - beside_theirs - annotated - expected
    for name in torment.gone:
        for target in possible_targets(torment.target(name)):
            sidecar = torment.sidecar(target)
            if target in left and sidecar in left:
                assert read_sidecar(sidecar).published.sha256 == sha(target.read_bytes()), target
                left -= {target, sidecar}
    assert left == set(), "something is left in the publish folders"
    assert list((torment.state / "staging").iterdir()) == []
    assert {path.name for path in torment.state.iterdir()} <= STATE_FILES


def _sidecars(torment, picture):
    """Every path at which a picture's sidecar may stand."""
    return [sidecar_in(place, picture) for place in torment.places.all]


def _is_sidecar(path):
    return path.name.endswith(SIDECAR_SUFFIX)


def assert_nothing_done_twice(torment):
    """How many renders were begun and ended, when each was for a reason.

    A source's copy is put into place once for each of its versions and profiles, and a content is rendered once for
    each profile, and once more for each kill that can have ended it and each edit that took its result away.
    """
    placed = Counter(torment.placed.read_text().splitlines())
    profiles = torment.profiles
    for name, versions in torment.versions.items():
        most = versions * (profiles if name.startswith("turned/") else 1)
        names = [target.name.replace(" ", "?") for target in possible_targets(torment.target(name))]
        times = sum(placed[each] for each in names)
        assert times <= most, f"{name} was put into place {times} times in {versions} versions"
        published = _stories(torment, name).count("It was published.")
        assert published <= most, f"{name} was published {published} times"
        if name in torment.inputs:
            assert published >= 1
    begun, ended = rendered_counts(torment.renders)
    assert set(begun) <= set(torment.contents)
    edits = sum(torment.versions.values()) - len(torment.versions) + torment.happened["deleted"]
    assert sum(begun.values()) <= _wanted(torment) + sum(torment.kills.values()) + edits
    return sum(begun.values()), sum(ended.values())


def _wanted(torment):
    """How many results were wanted: one for each content and each profile of the pairs that it ever lay in."""
    profiles = {"out": 1, "turned": torment.profiles}
    return sum(sum(profiles[pair] for pair in pairs) for pairs in torment.contents_in.values())


def _stories(torment, name):
    path = os.fsencode(torment.base / name)
    rows = torment.ledger(f"SELECT what FROM events WHERE path = X'{path.hex()}'")
    return [row["what"] for row in rows]

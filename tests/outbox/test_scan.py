from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path, PurePath
from types import SimpleNamespace

import pytest

from shaded.filestat import FileStat
from shaded.outbox import scan as scanning
from shaded.outbox.ignore import IgnoreRules
from shaded.outbox.scan import DEEPEST, is_placeholder, look, why_not_taken


def scan(*arguments, **named):
    """What a scan finds, without its pauses."""
    with closing(scanning.scan(*arguments, **named)) as steps:
        yield from filter(None, steps)


def scan_below(root, relative, *arguments, **named):
    """The same for one path."""
    for steps in scanning.scan_named(root, relative.parent, [relative.name], *arguments, **named):
        yield from filter(None, steps)


def put(root: Path, name: str, content: bytes = b"picture") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def names(root: Path, rules: IgnoreRules | None = None) -> list[str]:
    def no_trouble(path, error):
        pytest.fail(f"{path}: {error}")

    return [str(relative) for relative, _ in scan(root, rules or IgnoreRules(), no_trouble)]


def test_every_file_is_found_in_the_order_of_the_names(tmp_path):
    """Files in all folders are found, with paths relative to the outbox and their stats."""
    put(tmp_path, "b.png")
    put(tmp_path, "a/deep/c.png")
    put(tmp_path, "a.png", b"12345")
    assert names(tmp_path) == ["a/deep/c.png", "a.png", "b.png"]
    found = dict(scan(tmp_path, IgnoreRules(), lambda *_: None))
    assert found[Path("a.png")] == FileStat.of((tmp_path / "a.png").stat())
    assert found[Path("a.png")].size == 5


def test_ignored_files_and_folders_are_left_out(tmp_path):
    """What the rules ignore is not yielded, and an ignored folder is not even entered."""
    put(tmp_path, "a.png")
    put(tmp_path, "a.tmp")
    put(tmp_path, "@eaDir/a.png/thumb.jpg")
    (tmp_path / "@eaDir").chmod(0)
    try:
        assert names(tmp_path) == ["a.png"]
    finally:
        (tmp_path / "@eaDir").chmod(0o700)


def test_links_pipes_and_sockets_are_not_files(tmp_path):
    """Links are not followed, whether to files or folders, and special files are left out."""
    put(tmp_path / "elsewhere", "secret.png")
    root = tmp_path / "outbox"
    put(root, "a.png")
    (root / "link.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    assert names(root) == ["a.png"]


def test_the_outbox_itself_may_be_a_link(tmp_path):
    """A link as the outbox is the user's own choice."""
    put(tmp_path / "real", "a.png")
    (tmp_path / "outbox").symlink_to(tmp_path / "real")
    assert names(tmp_path / "outbox") == ["a.png"]


def test_a_name_that_is_no_text_is_found(tmp_path):
    """Bytes that are no UTF-8 survive the way through."""
    name = os.fsencode(tmp_path) + b"/f\xff.png"
    Path(os.fsdecode(name)).write_bytes(b"x")
    assert [os.fsencode(found) for found in names(tmp_path)] == [b"f\xff.png"]


def test_a_missing_outbox_is_trouble(tmp_path):
    """A root that is not there is reported, since it is not the same as an empty one."""
    troubles = []
    assert list(scan(tmp_path / "gone", IgnoreRules(), lambda path, error: troubles.append(path))) == []
    assert troubles == [tmp_path / "gone"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser is denied nothing")
def test_a_folder_without_permission_is_reported_and_the_rest_is_found(tmp_path):
    """One closed folder is no reason to miss the others."""
    put(tmp_path, "closed/a.png")
    put(tmp_path, "open/b.png")
    (tmp_path / "closed").chmod(0)
    troubles = []
    try:
        found = [str(name) for name, _ in scan(tmp_path, IgnoreRules(), lambda path, error: troubles.append(path))]
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert found == ["open/b.png"]
    assert troubles == [tmp_path / "closed"]


def test_an_error_in_one_folder_is_reported_and_the_rest_is_found(tmp_path, monkeypatch):
    """A folder that cannot be opened is told with its path and reason, and the scan goes on."""
    put(tmp_path, "closed/a.png")
    put(tmp_path, "open/b.png")
    real = os.open

    def refusing(path, flags, *more, **named):
        if path == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(scanning.os, "open", refusing)
    troubles = []
    found = [str(name) for name, _ in scan(tmp_path, IgnoreRules(), lambda *told: troubles.append(told))]
    assert found == ["open/b.png"]
    ((path, error),) = troubles
    assert path == tmp_path / "closed"
    assert isinstance(error, PermissionError)


def test_a_folder_swapped_for_a_link_is_not_entered(tmp_path, monkeypatch):
    """Between seeing a folder and opening it, it may become a link; then it stays closed."""
    put(tmp_path / "elsewhere", "secret.png")
    root = tmp_path / "outbox"
    put(root, "folder/a.png")
    real = os.open

    def swapping(path, flags, *more, **named):
        if path == "folder":
            (root / "folder").rename(tmp_path / "moved")
            (root / "folder").symlink_to(tmp_path / "elsewhere")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(scanning.os, "open", swapping)
    troubles = []
    assert list(scan(root, IgnoreRules(), lambda path, error: troubles.append(path))) == []
    assert troubles == [root / "folder"]


def test_files_that_vanish_during_the_scan_are_no_trouble(tmp_path):
    """The scan goes on without them and complains of nothing."""
    for name in ("a.png", "b.png", "c/d.png"):
        put(tmp_path, name)
    running = scan(tmp_path, IgnoreRules(), lambda *told: pytest.fail(str(told)))
    first = next(running)
    (tmp_path / "b.png").unlink()
    (tmp_path / "c" / "d.png").unlink()
    (tmp_path / "c").rmdir()
    assert [str(name) for name, _ in [first, *running]] == ["a.png"]


def test_nesting_has_an_end(tmp_path):
    """Folders nested beyond the limit are reported instead of exhausting descriptors."""
    put(tmp_path, "/".join(["d"] * (scanning.DEEPEST + 1)) + "/a.png")
    put(tmp_path, "/".join(["e"] * scanning.DEEPEST) + "/b.png")
    troubles = []
    found = [name.name for name, _ in scan(tmp_path, IgnoreRules(), lambda path, error: troubles.append(path))]
    assert found == ["b.png"]
    assert len(troubles) == 1


def test_no_descriptor_stays_open_when_a_scan_is_abandoned(tmp_path):
    """A scan that is not read to its end closes its folders."""
    put(tmp_path, "a/b/c.png")
    before = open_descriptors()
    running = scan(tmp_path, IgnoreRules(), lambda *_: None)
    next(running)
    running.close()
    assert open_descriptors() == before


def test_one_folder_can_be_scanned(tmp_path):
    """A folder that was moved in is looked through, and its paths stay relative to the outbox."""
    put(tmp_path, "new/a.png")
    put(tmp_path, "old/b.png")
    rules = IgnoreRules(["old/"])
    assert [str(name) for name, _ in scan_below(tmp_path, Path("new"), rules, lambda *_: None)] == ["new/a.png"]
    assert list(scan_below(tmp_path, Path("old"), rules, lambda *_: None)) == []
    assert list(scan_below(tmp_path, Path("gone"), rules, lambda *told: pytest.fail(str(told)))) == []


def test_a_look_sees_regular_files_only(tmp_path):
    """Anything else, and what is gone, looks like nothing."""
    path = put(tmp_path, "a.png")
    assert look(path) == FileStat.of(path.stat())
    (tmp_path / "link.png").symlink_to(path)
    assert look(tmp_path / "link.png") is None
    assert look(tmp_path) is None
    assert look(tmp_path / "gone.png") is None
    assert look(path / "below.png") is None
    assert look(tmp_path / "n\0l.png") is None


def test_a_placeholder_is_recognised_by_the_systems_own_flag():
    """A file whose content is in the cloud is known by its flag, not by its blocks."""
    fox = Path("/nowhere/fox.png")
    assert is_placeholder(SimpleNamespace(st_flags=scanning.SF_DATALESS | 0x20, st_size=1000), fox)
    assert not is_placeholder(SimpleNamespace(st_flags=0x20, st_size=1000), fox)
    assert not is_placeholder(SimpleNamespace(st_blocks=0, st_size=1000), fox)


@pytest.mark.parametrize("stub", [".fox.png.icloud", "fox.png.nextcloud", "fox.png.owncloud"])
def test_a_clients_stub_is_left_until_the_file_itself_is_there(tmp_path, stub):
    """The stub is no picture to refuse, and explain says of it and of the picture that it is in the cloud."""
    put(tmp_path, stub, b" ")
    assert names(tmp_path) == []
    assert look(tmp_path / stub) is None
    for asked in (stub, "fox.png"):
        assert "still in the cloud" in why_not_taken(tmp_path, PurePath(asked), IgnoreRules())
    (tmp_path / stub).unlink()
    put(tmp_path, "fox.png")
    assert names(tmp_path) == ["fox.png"]
    assert why_not_taken(tmp_path, PurePath("fox.png"), IgnoreRules()) is None


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="the attributes are those of clients on Linux")
@pytest.mark.parametrize(
    ("attribute", "value", "local"),
    [("user.nextcloud.hydrate_exec", b"nextcloud", False), ("user.openvfs.state", b"dehydrated", False),
     ("user.openvfs.state", b"hydrated", True), ("user.other", b"1", True)],
)  # fmt: skip
def test_a_placeholder_is_recognised_by_its_attribute(tmp_path, attribute, value, local):
    """One byte with the client's attribute is a placeholder; a real file with it is taken."""
    path = put(tmp_path, "fox.png", b" ")
    try:
        os.setxattr(path, attribute, value)
    except OSError:
        pytest.skip("this file system keeps no such attributes")
    assert names(tmp_path) == (["fox.png"] if local else [])
    path.write_bytes(b"x" * 100)
    assert names(tmp_path) == ["fox.png"]


def test_what_a_client_fills_on_reading_is_taken_where_downloads_are_allowed(tmp_path, monkeypatch):
    """By setting, a placeholder with the picture's own name counts as a file; a stub, which holds nothing, never."""
    path = put(tmp_path, "fox.png", b" ")
    put(tmp_path, "owl.png.nextcloud", b" ")
    monkeypatch.setattr(scanning, "_says", lambda asked, name, _value: asked == path and name == "user.openvfs.state")
    taken = [str(name) for name, _ in scan(tmp_path, IgnoreRules(), lambda *_: None, downloads=True)]
    assert taken == ["fox.png"]
    assert look(path, downloads=True) is not None
    assert look(path) is None
    assert why_not_taken(tmp_path, PurePath("fox.png"), IgnoreRules(), downloads=True) is None
    assert "placeholders" in why_not_taken(tmp_path, PurePath("fox.png"), IgnoreRules())


def test_one_folder_is_not_reached_through_a_link(tmp_path):
    """A link on the way to the folder is reported, and nothing behind it is seen."""
    put(tmp_path / "elsewhere", "inner/secret.png")
    root = tmp_path / "outbox"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    troubles = []
    found = scan_below(root, Path("linked/inner"), IgnoreRules(), lambda path, error: troubles.append(path))
    assert list(found) == []
    assert troubles == [root / "linked/inner"]


def test_every_reason_for_not_taking_a_file_is_a_sentence(tmp_path):
    """What stands in the way of a path is said plainly; nothing is said of a good one."""
    put(tmp_path, "a.png")
    put(tmp_path, "a.tmp")
    put(tmp_path, "empty.png", b"")
    put(tmp_path, "folder/b.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    rules = IgnoreRules()
    told = {
        name: why_not_taken(tmp_path, PurePath(name), rules)
        for name in sorted(found.name for found in tmp_path.iterdir())
    }
    assert told.pop("a.png") is None
    assert "*.tmp (built in)" in told["a.tmp"]
    assert "empty" in told["empty.png"]
    assert "folder" in told["folder"]
    assert "link" in told["link.png"]
    assert "regular" in told["pipe.png"]
    assert why_not_taken(tmp_path, PurePath("gone.png"), rules) == "there is no such file"
    assert "looked at" in why_not_taken(tmp_path, PurePath("n\0l.png"), rules)


def odd_outbox(base: Path) -> Path:
    """An outbox with everything in it that events may tell of and scans may miss, or the other way round."""
    root = base / "outbox"
    put(base / "elsewhere", "inner/secret.png")
    for name in (
        "a.png", "sub/b.png", ".hidden/c.png", "sub/@eaDir/d.png", "sub/e.tmp", "f.png.nextcloud", ".g.png.icloud",
        "/".join(["d"] * DEEPEST) + "/deepest.png", "/".join(["e"] * (DEEPEST + 1)) + "/deeper.png",
        "/".join(["e"] * (DEEPEST + 9)) + "/much.png", "private/h.png", "private/keep/i.png", "line\nend/j.png",
    ):  # fmt: skip
        put(root, name)
    put(root, os.fsdecode(b"no\xfftext/k\xfe.png"))
    put(root, ".shadedignore", b"private/\n!private/keep/\n")
    (root / "linked").symlink_to(base / "elsewhere")
    (root / "sub" / "up").symlink_to(root)
    (root / "link.png").symlink_to(root / "a.png")
    os.mkfifo(root / "pipe.png")
    return root


def every_path(root: Path, depth: int = 0) -> list[Path]:
    """What can be named in a folder, also through links, up to three of them."""
    found = []
    for entry in root.iterdir():
        found.append(entry)
        if entry.is_dir() and (not entry.is_symlink() or depth < 3):
            found += every_path(entry, depth + entry.is_symlink())
    return found


def test_events_scans_and_explain_come_to_the_same_files(tmp_path):
    """Whatever an event may name, it is taken exactly if a scan takes it, and exactly then explain has no objection."""
    root = odd_outbox(tmp_path)
    rules = IgnoreRules.for_root(root)
    scanned = {relative for relative, _ in scan(root, rules, lambda *_: None)}
    assert {path.name for path in scanned} == {"a.png", "b.png", "deepest.png", "j.png", os.fsdecode(b"k\xfe.png")}
    paths = [path.relative_to(root) for path in every_path(root)] + [PurePath("linked/gone.png"), PurePath("a.png/x")]
    assert len(paths) > 300
    for relative in map(Path, paths):
        heard = {found for found, _ in scan_below(root, relative, rules, lambda *_: None)}
        below = {found for found in scanned if found.is_relative_to(relative)}
        assert heard == below, relative
        assert (why_not_taken(root, relative, rules) is None) == (relative in scanned), relative


def test_too_deep_a_path_is_told_as_such(tmp_path):
    """Explain names the limit for the file and for the folder, and a scan and an event report the same folder."""
    root = odd_outbox(tmp_path)
    rules = IgnoreRules()
    folder = Path(*["e"] * (DEEPEST + 1))
    for deep in (folder / "deeper.png", Path(*["e"] * (DEEPEST + 9)) / "much.png", folder):
        assert f"more than {DEEPEST} deep" in why_not_taken(root, deep, rules)
        told = []
        assert list(scan_below(root, deep, rules, lambda path, _error: told.append(path))) == []  # noqa: B023
        assert told == [root / folder]
    told = []
    list(scan(root, rules, lambda path, _error: told.append(path)))
    assert told == [root / folder]


def test_a_link_on_the_way_is_told_as_such(tmp_path):
    """Explain names the folder that is a link, wherever on the way it stands."""
    root = odd_outbox(tmp_path)
    why = why_not_taken(root, PurePath("linked/inner/secret.png"), IgnoreRules())
    assert why == "its folder 'linked' is a symbolic link, and links are never followed"
    assert why_not_taken(root, PurePath("a.png/x.png"), IgnoreRules()) == "there is no such file"
    assert why_not_taken(root, PurePath("no/x.png"), IgnoreRules()) == "there is no such file"
    assert "folder" in why_not_taken(root, PurePath(), IgnoreRules())


def test_one_file_that_raises_keeps_nobody_from_the_others(tmp_path, monkeypatch):
    """An error that nobody foresaw is told with the file, and the scan goes on."""
    for name in ("a.png", "b.png", "c/d.png"):
        put(tmp_path, name)
    rules = IgnoreRules()
    real = rules.own

    def failing(relative, is_dir):
        if relative == "b.png":
            raise RuntimeError("odd")
        return real(relative, is_dir)

    monkeypatch.setattr(rules, "own", failing)
    told = []
    assert [str(name) for name, _ in scan(tmp_path, rules, lambda *what: told.append(what))] == ["a.png", "c/d.png"]
    ((path, error),) = told
    assert path == tmp_path / "b.png"
    assert isinstance(error, RuntimeError)


def test_a_scan_pauses_in_folders_without_pictures_too(tmp_path):
    """Ignored files, and the reading of a long list of names, leave room for pauses."""
    for number in range(1500):
        (tmp_path / f"{number}.tmp").touch()
    steps = list(scanning.scan(tmp_path, IgnoreRules(), lambda *_: None))
    assert len(steps) > 1500
    assert set(steps) == {None}


def test_a_folder_swapped_for_a_link_during_a_pause_is_not_entered(tmp_path):
    """However long the pause was, and what was entered before it is read to its end."""
    put(tmp_path / "elsewhere", "secret.png")
    root = tmp_path / "outbox"
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        put(root, name)
    running = scan(root, IgnoreRules(), lambda *_: None)
    assert next(running)[0] == Path("a/1.png")
    for name in "ab":
        (root / name).rename(tmp_path / f"moved-{name}")
        (root / name).symlink_to(tmp_path / "elsewhere")
    assert [str(name) for name, _ in running] == ["a/2.png"]

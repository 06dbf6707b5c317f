from __future__ import annotations

import time
import unicodedata
from pathlib import PurePath

import pytest

from shaded.outbox.ignore import IgnoreRules
from shaded.outbox.other_programs import SUFFIXES, conflict_copy, whose

#: What other programs leave in a folder, and nobody gives a picture.
THEIRS = """
@eaDir/fox.png
@eaDir/fox.png/SYNOPHOTO_THUMB_XL.jpg
#recycle/fox.png
#snapshot/GMT+01-2024.01.01-00.00.00/fox.png
@tmp/fox.png
@sharebin/fox.png
fox.png@SynoEAStream
fox.png@SynoResource
.SynologyWorkingDirectory/fox.png
@Recycle/fox.png
@Recycle/old/deep/fox.png
.@__thumb/s100fox.png
@Recently-Snapshot/fox.png
.@upload_cache/fox.png
.streams/fox.png
.zfs/snapshot/today/fox.png
.snapshot/hourly/fox.png
~snapshot/hourly/fox.png
.snapshots/1/snapshot/fox.png
@Recycle.bin/fox.png
.wdmc/fox.png
.recycle/anna/fox.png
.Recycle.Bin/fox.png
.smbdelete0123
.nfs000000000123
.fuse_hidden0000001
$RECYCLE.BIN/S-1-5-21/$R12.png
$Recycle.Bin/fox.png
RECYCLER/S-1-5-21/Dc1.png
RECYCLED/Dc1.png
Network Recycle Bin 1/fox.png
@__thumb/s100fox.png
@synologydrive/fox.png
files_trashbin/files/fox.png.d1700000000
files_versions/fox.png
FOUND.000/FILE0000.CHK
found.012/fox.png
System Volume Information/fox.png
lost+found/fox.png
LOST.DIR/1
.Trashes/501/fox.png
.fseventsd/0001
.Spotlight-V100/fox.png
.TemporaryItems/fox.png
Network Trash Folder/fox.png
Temporary Items/folders.501/fox.png
.AppleDouble/fox.png
._fox.png
.DS_Store
Thumbs.db
desktop.ini
Backups.backupdb/Mac/fox.png
.Trash-1000/files/fox.png
.sync_abc123.db
._sync_abc123.db-wal
.owncloudsync.log
.stversions/fox~20240101-120000.png
.stfolder
.syncthing.fox.png.tmp
~syncthing~fox.png.tmp
.sync/Archive/fox.png
fox.png.!sync
.dropbox.cache/2024-01-01/fox.png
.tmp.drivedownload/123
.tmp.driveupload/123
.debris/2024-01-01/fox.png
.seafile-data/fox.png
.qsync/fox.png
_gsdata_/_saved_/fox.png
fox.png.ffs_tmp
.~tmp~/fox.png
.fox.png.Ab12Cd
fox.png.partial
fox.png.d3f0a1b2.partial
CaptureOne/Cache/Proxies/fox.png.cop
Anna Previews.lrdata/0/fox.lrprev
Anna.lrcat-data/fox.png
Fotos.photoslibrary/originals/0/fox.png
Old.aplibrary/Masters/fox.png
Shoot.cocatalog/Cache/fox.png
.comments/fox.png.xml
.BridgeSort
.BridgeLabelsAndRatings
Adobe Bridge Cache.bc
.picasaoriginals/fox.jpg
.thumbnails/fox.jpg
.dtrash/files/fox.jpg
Corel Auto-Preserve/fox.jpg
fox.png:Zone.Identifier
fox.pngZone.Identifier
fox.png_original
fox.jpeg_original
fox.jpg_exiftool_tmp
fox.xmp
fox.arw.xmp
FOX.XMP
fox.aae
fox.filepart
fox.png.part
fox.png.crdownload
fox.pp3
fox.dop
fox.on1
fox.cos
fox.thm
MVI_0001.THM
GX010001.LRV
brush.kpp
Picasa.ini
fox.db
fox.gdoc
fox.url
fox.webloc
fox.lnk
fox.md5
fox.sfv
fox.png.bak
.pending-1700000000-fox.png
.trashed-1700000000-fox.png
""".strip().split("\n")

#: Names of artists that look a little like those.
ARTISTS = """
fox.png
recycle/fox.png
Recycle/fox.png
trash/fox.png
Trash/fox.png
rubbish/fox.png
recycler/fox.png
Recycled/fox.png
wastebasket.png
snapshot/fox.png
snapshots/fox.png
Snapshot 2024.png
tmp/fox.png
temp/fox.png
cache/fox.png
Cache/fox.png
versions/fox.png
archive/fox.png
Archive/fox.png
originals/fox.png
previews/fox.png
thumbnails/fox.png
Capture One/fox.png
captureone/fox.png
Captures/fox.png
darktable_exported/fox.jpg
converted/fox.jpg
Selects/fox.jpg
Output/fox.jpg
temporary items/fox.png
network trash folder.png
lost and found/fox.png
found/fox.png
FOUND.png
found.000.png
LOST.png
sync/fox.png
debris/fox.png
zfs/fox.png
comments/fox.png
Dropbox/fox.png
OneDrive/fox.png
Photos Library/fox.png
eaDir/fox.png
#fox/fox.png
#1.png
@anna/fox.png
@work.png
$fox.png
~fox.png
~fox/fox.png
part.png
part 2.png
fox part.png
partial.png
download.png
downloads/fox.png
lock.png
temp.png
tmp.png
bak.png
original.png
fox original.png
fox_original.png
the_original.jpeg
xmp.png
fox.xmp.png
cos.png
db.png
key.key.png
paintings.orig/fox.png
scans.bak/fox.png
Anna.cos/fox.png
comic.pages/fox.png
fox (1).png
fox (2).png
fox 2.png
fox copy.png
fox - Copy.png
fox (copy).png
conflict.png
Conflict.png
family conflict.png
family.conflict.png
Family Conflict.png
family_conflict.png
conflict 1.png
conflict1.png
conflict-of-interest.png
war_Conflict.png
wars_1914_Conflict.png
conflict/fox.png
Gaza conflict 2023-10-07.jpg
Ukraine (conflict 2022-02-24).jpg
inner (conflict).png
the trial, case conflict.png
conflicted copy.png
my conflicted copy.png
fox (a conflicted copy after Rembrandt).png
mood [conflict].png
sync-conflict.png
fox_conflict-1.png
wallpaper-DESKTOP.png
wallpaper-DESKTOP-1920x1080.png
wallpaper-DESKTOP-800X600.png
wallpaper-DESKTOP-FINAL.png
wallpaper-DESKTOP-FINAL01.png
wallpaper-DESKTOP-VERSION2.png
wallpaper-desktop-abc1234.png
fox-LAPTOP-STICKER.png
gaming-LAPTOP-2024.png
path1.png
name clash.png
icloud.png
nextcloud.png
""".strip().split("\n")

CONFLICTS = [
    ("fox (conflicted copy 2024-01-01).png", "Dropbox"),
    ("fox (conflicted copy).png", "Dropbox"),
    ("fox (Anna's conflicted copy).png", "Dropbox"),
    ("fox (Anna's conflicted copy 2024-01-01).png", "Dropbox"),
    ("fox (Anna\u2019s conflicted copy 2024-01-01).png", "Dropbox"),
    ("fox (Anna's conflicted copy 2024-01-01 (1)).png", "Dropbox"),
    ("fox (Anna (Laptop)'s conflicted copy 2024-01-01).png", "Dropbox"),
    ("fox (Annas in Konflikt stehende Kopie 2024-01-01).png", "Dropbox"),
    ("fox (In Konflikt stehende Kopie von Anna 2024-01-01).png", "Dropbox"),
    ("fox (Copie en conflit de Anna 2024-01-01).png", "Dropbox"),
    ("fox (Copia en conflicto de Anna 2024-01-01).png", "Dropbox"),
    ("fox (Copia in conflitto di Anna 2024-01-01).png", "Dropbox"),
    ("fox (Cópia em conflito de Anna 2024-01-01).png", "Dropbox"),
    ("fox (Anna's conflicterende kopie 2024-01-01).png", "Dropbox"),
    ("fox (Annas konfliktkopia 2024-01-01).png", "Dropbox"),
    ("fox (Anna の競合コピー 2024-01-01).png", "Dropbox"),
    ("fox (Anna的冲突副本 2024-01-01).png", "Dropbox"),
    ("fox (Case Conflict).png", "Dropbox"),
    ("Sketches (Selective Sync Conflict)", "Dropbox"),
    ("fox (Selective Sync Conflict 1).png", "Dropbox"),
    ("fox (copy: conflict on 2024-01-01).png", "Unison"),
    ("fox (copy: conflict at nas on 2024-01-01 #2).png", "Unison"),
    ("fox (Anna's case conflict 1).png", "Dropbox"),
    ("fox (conflicted copy 2024-01-01 120000).png", "Nextcloud"),
    ("fox (conflicted copy anna 2024-01-01 120000).png", "Nextcloud"),
    ("fox_conflict-20240101-120000.png", "ownCloud"),
    ("fox (case clash from 2024-01-01 120000).png", "Nextcloud"),
    ("fox.sync-conflict-20240101-120000-ABCDEFG.png", "Syncthing"),
    ("fox.sync-conflict-20240101-120000.png", "Syncthing"),
    ("fox-DESKTOP-ABC123.png", "OneDrive"),
    ("fox-DESKTOP-4F7K2QX.png", "OneDrive"),
    ("fox-DESKTOP-4F7K2QX-2.png", "OneDrive"),
    ("fox-LAPTOP-1A2B3C4D.png", "OneDrive"),
    ("fox.Conflict.png", "Resilio"),
    ("fox.Conflict2.png", "Resilio"),
    ("fox (SFConflict anna@example.org 2024-01-01-12-00-00).png", "Seafile"),
    ("fox_DiskStation_Jan-03-0901-2024_Conflict.png", "Synology"),
    ("fox_Andy-PC_Jan-03-0901-2013_CaseConflict_1.png", "Synology"),
    ("fox [conflicted].png", "pCloud"),
    ("fox [conflicted 2].png", "pCloud"),
    ("fox.conflict1.png", "rclone"),
    ("fox.png.conflict2", "rclone"),
    ("fox(Conflict_anna (Web browser)_2020-03-25-22-50-36).png", "FileCloud"),
    ("fox-conflict-2018-11-22T13_04_05.000Z.png", "Cozy"),
    ("fox (# Name clash 2023-05-11 RbFdHZ6 #).png", "Proton Drive"),
]


@pytest.fixture(scope="module")
def rules():
    """The built-in names alone."""
    return IgnoreRules()


@pytest.mark.parametrize("name", THEIRS)
def test_what_other_programs_leave_is_ignored_with_a_reason(rules, name):
    """Wastebaskets, snapshots, indexes, versions, catalogs, companions and unfinished files; nested ones too."""
    for path in (PurePath(name), PurePath("2024/autumn", name)):
        reason = rules.ignored(path)
        assert reason is not None
        assert reason.endswith("(built in)")


@pytest.mark.parametrize("name", ARTISTS)
def test_what_an_artist_may_call_a_picture_is_taken(rules, name):
    """Nobody's picture is left out for a name that looks a little like a program's."""
    assert rules.ignored(PurePath(name)) is None
    assert rules.ignored(PurePath("2024/autumn", name)) is None


@pytest.mark.parametrize(("name", "program"), CONFLICTS)
def test_conflict_copies_are_left_alone_with_the_program_that_made_them(rules, name, program):
    """In every language and form that is known, as a file or a folder, composed or decomposed as on macOS."""
    for spelled in (name, unicodedata.normalize("NFD", name)):
        for path, is_dir in ((PurePath(spelled), False), (PurePath("old", spelled), False), (PurePath(spelled), True)):
            reason = rules.ignored(path, is_dir)
            assert reason is not None
            assert program in reason
            assert "conflict copy" in reason
    assert rules.ignored(PurePath(name, "fox.png")) is not None


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("!*.xmp", "fox.xmp"),
        ("!*conflicted copy*", "fox (conflicted copy 2024-01-01).png"),
        ("!fox-DESKTOP-*", "fox-DESKTOP-ABC123.png"),
        ("!*.Conflict.*", "fox.Conflict.png"),
        ("!RECYCLER/", "RECYCLER/fox.png"),
        ("!@recycle/", "@recycle/fox.png"),
    ],
)
def test_everything_can_be_taken_back(pattern, name):
    """The ignore file and the settings win over all built-in names, conflict copies and companions too."""
    assert IgnoreRules().ignored(PurePath(name)) is not None
    assert IgnoreRules([], [pattern]).ignored(PurePath(name)) is None
    assert IgnoreRules([pattern]).ignored(PurePath(name)) is None


@pytest.mark.parametrize("pattern", ["!keep/", "!keep", "!/keep/"])
def test_a_folder_that_is_taken_back_keeps_other_programs_files_out(pattern):
    """As in git, its files are judged one by one."""
    rules = IgnoreRules([], ["keep/", pattern])
    assert rules.ignored(PurePath("keep/fox.png")) is None
    for name in ("fox.xmp", "fox.tmp", "fox (conflicted copy 2024-01-01).png"):
        assert rules.ignored(PurePath("keep", name)) is not None
    for all_of_it in ("!keep/*", "!*"):
        assert IgnoreRules([], [all_of_it]).ignored(PurePath("keep/fox.xmp")) is None


def test_a_file_is_ignored_by_its_ending_and_a_folder_is_not():
    """``*.bak`` means files: the folder of that name may hold pictures."""
    for suffix in SUFFIXES:
        assert whose(f"fox.{suffix.upper()}", is_dir=False) == f"*.{suffix} (built in)"
        assert whose(f"fox.{suffix}", is_dir=True) is None
        assert whose(suffix, is_dir=False) is None
    assert whose(".bak", is_dir=False) is None


@pytest.mark.parametrize(
    "name",
    [
        "(" * 255,
        "(conflicted copy " * 15,
        "a " * 127,
        "-DESKTOP-" * 28,
        ".Conflict" * 28 + " ",
        "_Jan-03-0901-2024" * 15,
        "(" + "'s " * 80,
        "conflict-" * 28,
        "." * 255,
        "\U0010f8ff" * 60,
    ],
)
def test_no_name_takes_long(rules, name):
    """The time grows with the length of a name and with nothing else."""
    began = time.monotonic()
    for _ in range(100):
        conflict_copy(name)
        rules.ignored(PurePath(name + ".png"))
    assert time.monotonic() - began < 1


def test_ordinary_names_cost_little(rules):
    """A hundred thousand pictures are looked through at every scan."""
    began = time.monotonic()
    for number in range(10_000):
        assert rules.own(f"2024/picture number {number}.png", is_dir=False) is None
    assert time.monotonic() - began < 2

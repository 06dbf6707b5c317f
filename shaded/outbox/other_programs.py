"""What other programs leave in a folder: names that are theirs, and that nobody gives a picture.

A name stands here only where it tells: an artist's ``trash/``, ``recycle/``, ``fox (1).png``, ``part 2.png`` and
``family conflict.png`` are theirs and are taken. Patterns are as in .gitignore; the last one that fits is the reason
that a person is given, so the telling ones stand below the general ones.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import re2

#: Endings of files that stand beside pictures, or are not whole; a folder may end so.
SUFFIXES = frozenset({
    # Not yet downloaded or copied, or what a program kept from before.
    "filepart", "fdmdownload", "dtapart", "incomplete", "!ut", "!qb", "bc!", "jc!", "td", "xltd", "cyberducksegment",
    "lftp-pget-status", "bak", "orig",
    # How a picture was developed, a camera's thumbnail and small video, a brush that is a PNG file.
    "xmp", "aae", "acr", "pp3", "arp", "dop", "on1", "cos", "cot", "cop", "cof", "comask", "vrd", "dr4", "nksc",
    "thm", "lrv", "kpp",
    # Indexes and settings of programs, links into a cloud or to a page, sums.
    "ini", "db", "db-wal", "db-shm", "db-journal", "gdoc", "gsheet", "gslides", "gdraw", "gform", "gmap", "gsite",
    "gjam", "gscript", "glink", "boxnote", "url", "webloc", "inetloc", "lnk", "desktop", "md5", "sha1", "sha256",
    "sha512", "sfv", "par2", "torrent",
})  # fmt: skip

#: Written in lower case; they match any case, since cameras, NAS devices and Windows do not agree on one.
ANY_CASE = (
    # Hidden files, and what programs write before they are done.
    ".*", ".~*", "._*", "*~", "~$*", "*.tmp", "*.temp", "*.part", "*.partial", "*.crdownload", "*.download",
    "*.opdownload", "*.aria2", "*.swp", "*.lock", "*.pdnsave",
    "*.sb-????????-??????",  # macOS safe save
    ".goutputstream-*",
    ".krita-*-autosave.kra",
    "*_ottmp*.*",  # OpenToonz: a picture's suffix on a file that is being written
    "*_exiftool_tmp", "*.???_original", "*.????_original",  # ExifTool keeps the file from before
    ".pending-*", ".trashed-*",  # Android
    ".~tmp~/",  # rsync --delay-updates
    # This program's own.
    "*.shaded.json",
    ".shaded-outbox",  # the marker of a watched folder
    # Systems: wastebaskets, indexes, what a repair found, where a download came from.
    ".ds_store", "thumbs.db", "ehthumbs*.db", "desktop.ini", "zbthumbnail.info", "__macosx/",
    "$recycle.bin/", "system volume information/", "found.[0-9][0-9][0-9]/", "lost+found/", "lost.dir/",
    ".trash*/", ".trashes/", ".fseventsd/", ".spotlight-v100/", ".temporaryitems/", ".documentrevisions-v100/",
    ".appledouble/", ".appledb/", ".appledesktop/", "backups.backupdb/", "*.sparsebundle/", "dfsrprivate/",
    "*zone.identifier",
    # NAS: Synology, QNAP, Asustor, WD, Samba, ZFS, NetApp, snapper; a Nextcloud server's own folders.
    "network recycle bin*/", "@__thumb/", "@syno*/", "files_trashbin/", "files_versions/",
    "@eadir/", "@tmp/", "@sharebin/", "@sharesnap/", "#recycle/", "#snapshot/", "*@synoeastream", "*@synoresource",
    ".synologyworkingdirectory/", "@recycle/", "@recycle.bin/", "@recently-snapshot/", "@transcode/", ".@*/",
    ".streams/", ".wdmc/", ".recycle/", ".recycle.bin/", ".smbdelete*", ".nfs*", ".fuse_hidden*", ".zfs/",
    ".snapshot/", ".snapshots/", "~snapshot/",
    # Sync programs: versions, wastebaskets, indexes, files on their way.
    "~syncthing~*", ".syncthing.*", ".stfolder", ".stversions", ".sync*", ".sync_*.db*", "._sync_*",
    ".owncloudsync.*", "*.!sync", ".dropbox*", ".tmp.drivedownload/", ".tmp.driveupload/", ".debris/", ".insync*",
    ".seafile*", ".qsync*/", ".unison*", "_gsdata_/", "*.ffs_tmp", "*.ffs_db", "*.ffs_lock", ".git/",
    # Programs that keep pictures: catalogs, caches, packages that macOS shows as one file.
    "*.lrdata/", "*.lrcat-data/", "*.lrlibrary/", "*.photoslibrary/", "*.photolibrary/", "*.migratedphotolibrary/",
    "*.aplibrary/", "*.apvault/", "*.cocatalog/", "*.imovielibrary/", "*.fcpbundle/", "*.rtfd/", "*.pxd/", "*.app/",
    ".comments/", ".bridgesort", ".bridgelabelsandratings", "adobe bridge cache*", ".picasaoriginals/",
    ".thumbnails/",
    ".dtrash/",  # digiKam
    "corel auto-preserve/",
)  # fmt: skip

#: Names that would be an artist's own in another case: these programs write them in exactly this one.
AS_WRITTEN = (
    "RECYCLER/", "RECYCLED/", "Network Trash Folder/", "Temporary Items/", "TheVolumeSettingsFolder/",
    "TheFindByContentFolder/",
    "CaptureOne/", "NKSC_PARAM/", "_SYNCAPP/", "_CCC SafetyNet/",
)  # fmt: skip

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
#: What Dropbox calls a conflicted copy, in the languages that it speaks.
_WORDS = (
    "conflicted copy", "in Konflikt stehende Kopie", "Konfliktkopie", "copie en conflit", "copia en conflicto",
    "copia conflictiva", "copia in conflitto", "cópia em conflito", "cópia conflitante", "conflicterende kopie",
    "konfliktkopi[ae]?", "konflikterande kopia", "kopia powodująca konflikt", "конфликтующая копия", "競合コピー",
    "問題のあるコピー", "冲突副本", "衝突複本", "충돌하는 사본",
)  # fmt: skip
_CONFLICTED = "|".join(_WORDS)
#: The user or machine before these words, as in "Anna's conflicted copy"; with either apostrophe.
_OWNER = r"(?:.+['\x{2019}]s? )?"
_LETTER_CASE = r"(?i:case conflict|unicode encoding conflict|white space conflict|selective sync conflict)"
_END = r"(?: ?\([0-9]+\))?(?:\.[^.]*)?$"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A name that a sync program gives to one of two versions.

    Attributes:
        shown: The name as a person would write it down.
        program: Whose it is.
        pattern: RE2's; it is looked for in a name.
        unless: RE2's; where this is found too, the name may be a person's own.
    """

    shown: str
    program: str
    pattern: str
    unless: str = ""


CONFLICTS = (
    Conflict(
        "NAME (conflicted copy DATE)",
        "Dropbox, Nextcloud or another sync program",
        rf"(?i)\((?:.*[ の的의])?(?:{_CONFLICTED})(?:[^\pL].*)?{_DAY}.*\)"
        rf"|\({_OWNER}conflicted copy(?: [0-9]+)?\){_END}",
    ),
    Conflict("NAME (Case Conflict)", "Dropbox", rf" \({_OWNER}{_LETTER_CASE}(?: [0-9]+)?\){_END}"),
    Conflict("NAME (copy: conflict on DATE)", "Unison", rf"\(copy: conflict(?: at .*)? on {_DAY}.*\)"),
    Conflict("NAME_conflict-DATE-TIME", "ownCloud or Nextcloud", r"_conflict-(?:.*-)?[0-9]{8}-[0-9]{6}"),
    Conflict("NAME (case clash from DATE)", "Nextcloud", rf"\(case clash from (?:.* )?{_DAY}"),
    Conflict("NAME.sync-conflict-DATE-TIME-DEVICE", "Syncthing", r"\.sync-conflict-[0-9]{8}-[0-9]{6}(?:-[A-Z0-9]{7})?"),
    Conflict(
        "NAME-DESKTOP-XXXXXXX",
        "OneDrive",
        r"-(?:DESKTOP-[A-Z0-9]{6,7}|LAPTOP-[A-Z0-9]{7,8}|WIN-[A-Z0-9]{11})(?:-[0-9]+)?" + _END,
        # The names that Windows draws are letters and digits by chance.
        r"-(?:DESKTOP|LAPTOP|WIN)-(?:[A-Z]+|[0-9]+|[A-Z]{4,}[0-9]{1,3}|[0-9]{1,2}[A-Z]{4,}|[0-9]+X[0-9]+|V[0-9][A-Z]+)"
        r"(?:-[0-9]+)?" + _END,
    ),
    Conflict("NAME.Conflict", "Resilio Sync", r"[^.]\.Conflict[0-9]*(?:\.Conflict[0-9]*)*(?:\.[^. ]+)?$"),
    Conflict("NAME (SFConflict USER DATE)", "Seafile", r"\(SFConflict .*\)"),
    Conflict(
        "NAME_DEVICE_DATE_Conflict",
        "Synology Drive",
        r"_[^\d_. -]{3,4}-[0-9]{1,2}-(?:[0-9]{4,6}-)?[0-9]{4}_[A-Za-z]*Conflict(?:_[0-9]+)?" + _END,
    ),
    Conflict("NAME [conflicted]", "pCloud", r" \[conflicted(?: [0-9]+)?\]" + _END),
    Conflict("NAME.conflict1", "rclone", r"\.conflict[0-9]+(?:\.[^. ]+)?$|\.\.path[12]$"),
    Conflict("NAME (Conflict_USER_DATE)", "FileCloud", rf"\(Conflict_.*_{_DAY}-[0-9]{{2}}-[0-9]{{2}}-[0-9]{{2}}\)"),
    Conflict("NAME-conflict-DATE", "Cozy", rf"-conflict-{_DAY}T[0-9]{{2}}[_:][0-9]{{2}}[_:][0-9]{{2}}"),
    Conflict("NAME (# Name clash DATE #)", "Proton Drive", rf"# Name clash {_DAY} .*#"),
)  # fmt: skip


#: All of them at once: nearly every name is none, and is asked about once.
_ANY: Any = re2.compile("|".join(f"(?:{conflict.pattern})" for conflict in CONFLICTS))
_EACH: tuple[tuple[Conflict, Any, Any], ...] = tuple(
    (conflict, re2.compile(conflict.pattern), re2.compile(conflict.unless) if conflict.unless else None)
    for conflict in CONFLICTS
)


def conflict_copy(name: str) -> Conflict | None:
    """Which sync program's conflict copy a file or folder of that name is; ``None`` where it may be a person's own.

    RE2 matches, in time that grows with the length of the name alone.
    """
    if _ANY.search(name) is None:
        return None
    for conflict, pattern, unless in _EACH:
        if pattern.search(name) is not None and (unless is None or unless.search(name) is None):
            return conflict
    return None


def whose(name: str, is_dir: bool) -> str | None:
    """Why a file or folder of that name is another program's, as a pattern would say it; else ``None``."""
    name = name if name.isascii() else unicodedata.normalize("NFC", name)  # macOS writes letters and accents apart
    suffix = name.rpartition(".")[2].lower()
    if not is_dir and suffix in SUFFIXES and len(suffix) + 1 < len(name):
        return f"*.{suffix} (built in)"
    conflict = conflict_copy(name)
    if conflict is None:
        return None
    return f"{conflict.shown} (built in: a conflict copy that {conflict.program} made)"

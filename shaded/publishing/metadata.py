"""What a published file says besides its pixels: which of the source's metadata stays, and the rights."""

from __future__ import annotations

from dataclasses import dataclass
from xml.dom.minidom import Document

from shaded.publishing import exif, iptc, xmp
from shaded.publishing.colour import fitting_profile
from shaded.publishing.formats import Format
from shaded.publishing.picture import Picture
from shaded.publishing.sidecar import RightsFacts
from shaded.settings import Metadata, Rights

_ARTIST, _COPYRIGHT = 315, 33432
_VALUES = {"prohibited": "DMI-PROHIBITED", "prohibited-ai-training": "DMI-PROHIBITED-AIMLTRAINING"}
#: Statements already in a file that forbid as much as the setting, or point at terms of their own: they stand.
_STANDING = {
    "prohibited": ("DMI-PROHIBITED-SEE",),
    "prohibited-ai-training": ("DMI-PROHIBITED-SEE", "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"),
}
_JPEG_EXIF = 65533 - len(b"Exif\0\0")
_JPEG_XMP = 65533 - len(b"http://ns.adobe.com/xap/1.0/\0")


@dataclass(frozen=True)
class Carried:
    """The metadata of a file that is about to be written; every part may be absent."""

    exif: exif.Exif | None
    xmp: bytes | None
    iptc: bytes | None
    icc: bytes | None
    comment: bytes | None
    warnings: tuple[str, ...]

    @property
    def exif_block(self) -> bytes | None:
        """The EXIF block from its TIFF header on."""
        return None if self.exif is None else exif.build(self.exif)


def _exif(picture: Picture, keep: Metadata, warnings: list[str]) -> exif.Exif | None:
    block = picture.container.exif
    if block is None:
        return None
    try:
        return exif.publishable(exif.parse(block), keep=keep.exif, gps=keep.gps)
    except ValueError:
        warnings.append("The EXIF data are damaged and were left out.")
        return None


def _state_rights(document: Document, rights: Rights, *, artist: bool, notice: bool) -> None:
    if rights.data_mining != "keep":
        stated, wanted = xmp.data_mining(document), _VALUES[rights.data_mining]
        stands = stated == "DMI-PROHIBITED" or stated.startswith(_STANDING[rights.data_mining])
        if not stands:
            xmp.set_data_mining(document, wanted)
    if rights.creator and not artist:
        xmp.add_creator(document, rights.creator)
    if rights.notice and not notice:
        xmp.add_notice(document, rights.notice)


def _packet(
    source: bytes | None, keep: Metadata, rights: Rights, named: tuple[bool, bool], warnings: list[str]
) -> bytes | None:
    try:
        document = xmp.parse(source if keep.xmp else None)
    except xmp.BadPacket as error:
        warnings.append(f"The XMP packet was left out: {error}.")
        document = xmp.parse(None)
    xmp.strip(document, gps=keep.gps)
    _state_rights(document, rights, artist=named[0], notice=named[1])
    return None if xmp.is_empty(document) else xmp.serialise(document)


def carried(picture: Picture, form: Format, metadata: Metadata, rights: Rights, *, gray: bool) -> Carried:
    """Decide what metadata goes into a file of format ``form`` that is gray or not.

    The rights are stated whatever else is kept. IPTC records and comments follow ``metadata.xmp``, as descriptions.
    """
    warnings: list[str] = []
    tree = _exif(picture, metadata, warnings)
    records = picture.container.iptc if metadata.xmp else None
    records = iptc.publishable(records) if records else None
    artist = bool(tree and tree.text(_ARTIST)) or bool(records and iptc.texts(records, iptc.BYLINE))
    notice = bool(tree and tree.text(_COPYRIGHT)) or bool(records and iptc.texts(records, iptc.COPYRIGHT))
    packet = _packet(picture.container.xmp, metadata, rights, (artist, notice), warnings)
    if form == "jpeg":
        if tree is not None and len(exif.build(tree) or b"") > _JPEG_EXIF:
            warnings.append("The EXIF data are too long for a JPEG and were left out, except for the orientation.")
            tree = exif.publishable(tree, keep=False, gps=False)
        if packet is not None and len(packet) > _JPEG_XMP:
            warnings.append("The XMP packet is too long for a JPEG; only the rights were written.")
            packet = _packet(None, metadata, rights, (artist, notice), warnings)
    elif records and form != "tiff":
        warnings.append(f"IPTC records have no place in a {form.upper()} file and were left out.")
        records = None
    icc, remarks = fitting_profile(
        picture.container, form, gray=gray, was_gray=picture.is_gray, exif_kept=metadata.exif
    )
    warnings += remarks
    comment = picture.container.comment if metadata.xmp and form == "jpeg" else None
    return Carried(tree, packet, records or None, icc, comment, tuple(warnings))


def _document(picture: Picture) -> Document:
    try:
        return xmp.parse(picture.container.xmp)
    except xmp.BadPacket:
        return xmp.parse(None)


def subject_of(picture: Picture) -> tuple[list[str], str | None]:
    """What the artist wrote about the picture: the subjects (keywords), each once, and the title.

    From XMP ``dc:subject`` and ``dc:title``, then from IPTC keywords (2:25) and object name (2:05).
    """
    document = _document(picture)
    records = picture.container.iptc or b""
    subjects = [*xmp.values(document, xmp.DC, "subject"), *iptc.texts(records, iptc.KEYWORDS)]
    titles = [*xmp.values(document, xmp.DC, "title"), *iptc.texts(records, iptc.OBJECT_NAME)]
    return list(dict.fromkeys(subjects)), titles[0] if titles else None


def rights_in(picture: Picture) -> RightsFacts:
    """What a decoded file states about rights: the full address of its data mining value, the creator, the notice."""
    document = _document(picture)
    stated = xmp.data_mining(document)
    return RightsFacts(
        data_mining=xmp.VOCABULARY + stated if stated else "",
        creator="; ".join(xmp.values(document, xmp.DC, "creator")),
        notice=next(iter(xmp.values(document, xmp.DC, "rights")), ""),
    )

"""What a published file says besides its pixels: which of the source's metadata stays, and the rights."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from shaded.publishing import exif, iptc, profiles, statements, texts, xmp
from shaded.publishing import xmp_names as names
from shaded.publishing.claims import claims
from shaded.publishing.colour import fitting_profile
from shaded.publishing.embedded import left_out, objection
from shaded.publishing.formats import Format
from shaded.publishing.orientation import Turn, turn_of
from shaded.publishing.picture import Picture
from shaded.publishing.sidecar import RightsFacts
from shaded.publishing.statements import Described, Statements, normal
from shaded.settings import Metadata, Rights

_VALUES = {"prohibited": "DMI-PROHIBITED", "prohibited-ai-training": "DMI-PROHIBITED-AIMLTRAINING"}
#: Statements already in a file that forbid as much as the setting, or point at terms of their own: they stand.
_STANDING = {
    "prohibited": ("DMI-PROHIBITED-SEE",),
    "prohibited-ai-training": ("DMI-PROHIBITED-SEE", "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"),
}
_JPEG_EXIF = 65533 - len(b"Exif\0\0")
_JPEG_XMP = 65533 - len(b"http://ns.adobe.com/xap/1.0/\0")
_MOST_DOUBTS = 5
#: What a notice says that is nobody's name.
_NO_NAME = re.compile(
    r"©|\(c\)|\b(?:copyright|copr|all|some|rights|reserved|alle rechte vorbehalten|tous droits réservés|todos los"
    r" derechos reservados|no ai|training|not for|public domain|cc|by|nc|nd|sa)\b|[\W\d_]",
    re.IGNORECASE,
)
#: IPTC datasets beyond titles and people that XMP has a place for.
_AS_XMP = {
    10: (names.PHOTOSHOP, "Urgency"), 15: (names.PHOTOSHOP, "Category"), 40: (names.PHOTOSHOP, "Instructions"),
    85: (names.PHOTOSHOP, "AuthorsPosition"), 103: (names.PHOTOSHOP, "TransmissionReference"),
    105: (names.PHOTOSHOP, "Headline"), 110: (names.PHOTOSHOP, "Credit"), 115: (names.PHOTOSHOP, "Source"),
    122: (names.PHOTOSHOP, "CaptionWriter"), 90: (names.PHOTOSHOP, "City"), 95: (names.PHOTOSHOP, "State"),
    101: (names.PHOTOSHOP, "Country"), 92: (names.IPTC_CORE, "Location"), 100: (names.IPTC_CORE, "CountryCode"),
}  # fmt: skip


@dataclass(frozen=True)
class Carried:
    """The metadata of a file that is about to be written; every part may be absent."""

    exif: exif.Exif | None
    xmp: bytes | None
    iptc: bytes | None
    icc: bytes | None
    comment: bytes | None
    texts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def exif_block(self) -> bytes | None:
        """The EXIF block from its TIFF header on."""
        return None if self.exif is None else exif.build(self.exif)


def carried(picture: Picture, form: Format, metadata: Metadata, rights: Rights, *, gray: bool) -> Carried:
    """Decide what metadata goes into a file of format ``form`` that is gray or not.

    The rights are stated whatever else is kept. IPTC records, PNG texts and comments follow ``metadata.xmp``, as
    descriptions. What is said in a block that the format cannot hold, or that few programs read, is said in XMP.
    """
    source, unreadable, warnings = statements.read(picture.container)
    warnings += [f"The {name} could not be read to the end; the rest was left out." for name in unreadable
                 if name != "XMP packet"]  # fmt: skip
    turn = turn_of(picture.container)
    if not turn.understood:
        warnings.append(f"EXIF's Orientation could not be understood; the picture has orientation {turn.orientation}.")
    kept = _kept(source, metadata, warnings)
    written = _written(kept, form, picture, turn, warnings)
    packet = _merged(written.xmp)
    heard = statements.stated(replace(written, exif=tuple(map(exif.widely_read, written.exif))))
    _say(packet, statements.stated(kept).beyond(heard), heard)
    if kept.iptc and not written.iptc:
        _say_as_xmp(packet, kept.iptc[0])
    now = statements.stated(replace(written, xmp=(packet,)))
    _state_rights(packet, rights, source, now, warnings, (*unreadable, *source.unknown))
    if form == "jpeg" and packet.properties:
        packet, dropped = xmp.shrink(packet, _JPEG_XMP)
        warnings += [f"XMP's {name} was left out: a JPEG has no room for it." for name in dropped]
    spoken = any(tree.photo or tree.interoperability for tree in written.exif)
    icc, remarks = fitting_profile(picture.container, form, gray=gray, was_gray=picture.is_gray, exif_kept=spoken)
    warnings += remarks
    if icc is not None:
        icc, against = profiles.publishable(icc, gps=metadata.gps)
        if icc is None or against is not None:
            what = "A text of the colour profile" if icc else "The colour profile"
            warnings.append(left_out(what, against or "damaged"))
    comments = texts.texts_of(kept.texts, "Comment") if form == "jpeg" else []
    return Carried(
        exif=written.exif[0] if written.exif else None,
        xmp=xmp.serialise(packet) if packet.properties else None,
        iptc=iptc.build(written.iptc[0]) if written.iptc else None,
        icc=icc,
        comment=comments[0].encode("utf-8") if comments else None,
        texts=written.texts,
        warnings=tuple(warnings),
    )


def _kept(source: Described, metadata: Metadata, warnings: list[str]) -> Described:
    """What of the source's metadata the settings keep."""
    gps = metadata.gps
    described = Described()
    if metadata.exif:
        trees = [exif.publishable(tree, gps=gps, notes=warnings) for tree in source.exif]
        if gps and not any(tree.gps for tree in trees):
            first = trees[0] if trees else exif.Exif("<")
            trees[:1] = [replace(first, gps=texts.gps_of(source.texts, first.order))]
        described = replace(described, exif=tuple(trees))
    if metadata.xmp:
        records = [iptc.publishable(entries, gps=gps, notes=warnings) for entries in source.iptc]
        packets = [xmp.publishable(packet, gps=gps, notes=warnings) for packet in source.xmp]
        found = texts.publishable(source.texts, gps=gps, notes=warnings)
        described = replace(
            described,
            iptc=tuple(tuple(entries) for entries in records if entries),
            xmp=tuple(packets),
            texts=found,
        )
    return described


def _written(kept: Described, form: Format, picture: Picture, turn: Turn, warnings: list[str]) -> Described:
    """What of that the format has a place for, true for the published picture."""
    tree = kept.exif[0] if kept.exif else exif.Exif("<")
    reframed = picture.size if picture.container.reframed else None
    tree = exif.resized(tree, picture.size, picture.container.full_size or reframed)
    tree = exif.turned(tree, turn.orientation)
    if form == "jpeg" and len(exif.build(tree) or b"") > _JPEG_EXIF:
        warnings.append("The EXIF data are too long for a JPEG and were left out, except for the orientation.")
        tree = exif.turned(exif.Exif(tree.order), turn.orientation)
    if form == "tiff":
        tree = exif.as_ascii(tree)
    records = kept.iptc[:1]
    if records and form == "jpeg" and not iptc.app13(iptc.build(records[0])):
        warnings.append("The IPTC records are too long for a JPEG; what they say was written as XMP.")
        records = ()
    if records and form not in ("jpeg", "tiff"):
        warnings.append(f"IPTC records have no place in {form.upper()}; what they say was written as XMP.")
        records = ()
    return Described((tree,) if exif.build(tree) else (), records, kept.xmp, kept.texts if form == "png" else ())


def _merged(packets: tuple[xmp.Packet, ...]) -> xmp.Packet:
    """One packet: the first, and from the others the properties that it lacks."""
    merged = xmp.Packet()
    for packet in packets:
        present = {element.tag for element in merged.properties}
        merged.properties += [element for element in packet.properties if element.tag not in present]
    return merged


def _say(packet: xmp.Packet, missing: Statements, said: Statements) -> None:
    """Say in XMP what would be lost: every person and keyword, and a title, notice and description where none is."""
    people = [
        one for one in missing.creators if not any(normal(more).startswith(normal(one)) for more in said.creators)
    ]
    box: Literal["Alt", "Bag", "Seq"]
    for name, box, words in (
        ("creator", "Seq", people),
        ("subject", "Bag", list(missing.keywords)),
        ("rights", "Alt", [] if said.notices else list(missing.notices[:1])),
        ("title", "Alt", [] if said.titles else list(missing.titles[:1])),
        ("description", "Alt", [] if said.descriptions else list(missing.descriptions[:1])),
    ):
        if words:
            xmp.add(packet, names.DC, name, words, box)


def _say_as_xmp(packet: xmp.Packet, entries: tuple[iptc.Dataset, ...]) -> None:
    for number, (space, name) in _AS_XMP.items():
        found = iptc.texts(entries, number)
        if found and not xmp.values(packet, space, name):
            xmp.add(packet, space, name, found)


def _state_rights(
    packet: xmp.Packet,
    rights: Rights,
    source: Described,
    now: Statements,
    warnings: list[str],
    doubts: tuple[str, ...],
) -> None:
    """Write what the settings say about rights, as far as the source does not speak for itself.

    Args:
        packet: What is written to.
        rights: The settings.
        source: All of the source's metadata, also what is not published: it may name somebody.
        now: What the published file says so far.
        warnings: What was not written, in sentences.
        doubts: The pieces of the source's metadata that were not understood, and may name somebody.
    """
    if rights.data_mining != "keep":
        stated = next((value for one in source.xmp if (value := xmp.data_mining(one))), "")
        stands = stated == "DMI-PROHIBITED" or stated.startswith(_STANDING[rights.data_mining])
        xmp.set_data_mining(packet, stated if stands else _VALUES[rights.data_mining])
    said = statements.stated(source)
    if rights.creator and not now.creators:
        if _may_name(rights.creator, said, readable=not doubts):
            xmp.add(packet, names.DC, "creator", [rights.creator], "Seq")
        else:
            why = "the source names somebody" if said.creators or said.notices or said.credits else _doubtful(doubts)
            warnings.append(f"rights.creator was not written: {why}.")
    if rights.notice and not now.notices:
        if not doubts and _may_claim(rights, said):
            xmp.add(packet, names.DC, "rights", [rights.notice], "Alt")
        else:
            own = "the source has a notice of its own" if said.notices else "the source names somebody else"
            why = own if said.notices or said.creators or said.credits else _doubtful(doubts)
            warnings.append(f"rights.notice was not written: {why}.")


def _doubtful(doubts: tuple[str, ...]) -> str:
    """Why nobody is named in whose place somebody may stand."""
    more = f" and {len(doubts) - _MOST_DOUBTS:,} more" if len(doubts) > _MOST_DOUBTS else ""
    named = ", ".join(doubts[:_MOST_DOUBTS]) + more
    return f"some of the source's metadata are not understood, and may name somebody ({named})"


def _may_name(creator: str, said: Statements, *, readable: bool) -> bool:
    """Whether a creator can be written on a picture that says so much: nobody else is named, and all could be read."""
    mine = normal(creator)
    if said.creators:
        return mine in {normal(one) for one in said.creators}
    others = (text for text in (*said.notices, *said.credits) if mine not in normal(text))
    return readable and all(not _NO_NAME.sub("", text) for text in others)


def _may_claim(rights: Rights, said: Statements) -> bool:
    """Whether a notice can be written on a picture that says so much: none of its own, and no name against another."""
    mine = normal(rights.creator)
    if any(normal(text) == normal(rights.notice) for text in said.notices):
        return True
    if mine and any(mine in normal(text) for text in (*said.creators, *said.notices, *said.credits)):
        return True
    others = (*said.creators, *said.credits)
    names_another = bool(mine) and mine in normal(rights.notice) and bool(others)
    return not said.notices and not names_another and not claims(said.credits)


def subject_of(picture: Picture, *, gps: bool = False) -> tuple[list[str], str | None]:
    """What the artist wrote about the picture, in whatever block: the keywords, each once, and the title.

    A title that reads like a position is none, unless ``gps`` keeps positions: it would stand in the sidecar.
    """
    said = statements.of(picture.container)
    return list(said.keywords), next((title for title in said.titles if objection(title, gps=gps) is None), None)


def rights_in(picture: Picture) -> RightsFacts:
    """What a decoded file states about rights: the full address of its data mining value, the creator, the notice."""
    described = statements.read(picture.container)[0]
    said = statements.stated(described)
    mining = next((value for packet in described.xmp if (value := xmp.data_mining(packet))), "")
    return RightsFacts(
        data_mining=xmp.VOCABULARY + mining if mining else "",
        creator="; ".join(said.creators),
        notice=said.notices[0] if said.notices else "",
    )

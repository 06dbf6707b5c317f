"""What a picture says about itself, read from all of its metadata at once: who made it, notices, title, keywords.

The same word stands in EXIF, IPTC, XMP or a PNG's texts, as the program pleased that wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

from shaded.publishing import exif, iptc, texts, xmp
from shaded.publishing import exif_tags as tags
from shaded.publishing import xmp_names as names
from shaded.publishing.claims import claims, is_claim
from shaded.publishing.exif_texts import decode_text
from shaded.publishing.orientation import blocks
from shaded.publishing.picture import Container

#: A licence by its address, which says nothing about whose picture it is.
_LICENCE = re.compile(r"https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/\S*", re.IGNORECASE)
#: Descriptions that are a document of their own, which nobody here reads.
_DOCUMENT = re.compile(r"\s*<[?!/\w]")


#: Properties whose texts are creators and notices.
_READ = frozenset(f"{{{space}}}{name}" for space, name in (
    (names.DC, "creator"), (names.DC, "rights"), (names.TIFF, "Artist"), (names.TIFF, "Copyright"),
    (names.EXIF_EX, "Photographer"), (names.PLUS, "ImageCreatorName"), (names.CC, "attributionName"),
    (names.RIGHTS, "UsageTerms"),
))  # fmt: skip


@dataclass(frozen=True)
class Described:
    """The metadata of one file in their own structures; of each kind there may be several blocks, or none.

    ``unknown`` are the pieces, by name, that were not understood and may name somebody.
    """

    exif: tuple[exif.Exif, ...] = ()
    iptc: tuple[tuple[iptc.Dataset, ...], ...] = ()
    xmp: tuple[xmp.Packet, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statements:
    """What is said: people, notices, titles, keywords and descriptions, each once, in the order of trust.

    ``credits`` are other texts that may name a maker or an owner; they say who it is not.
    """

    creators: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    credits: tuple[str, ...] = ()

    def beyond(self, other: Statements) -> Statements:
        """What is said here and not there, whatever the case and the spaces."""
        return Statements(
            **{
                one.name: tuple(
                    text
                    for text in getattr(self, one.name)
                    if normal(text) not in {normal(known) for known in getattr(other, one.name)}
                )
                for one in fields(self)
            }
        )


def normal(text: str) -> str:
    """A text for comparing: without differences of case and spaces."""
    return " ".join(text.casefold().split())


def read(container: Container) -> tuple[Described, list[str], list[str]]:
    """Read all blocks of a file.

    Returns:
        What they hold; the names of those that could not be read, or not to the end; and sentences for a person on
        what was too large.
    """
    unreadable = list(container.unreadable)
    notes: list[str] = []
    trees = _trees(blocks(container, "exif"), unreadable)
    records: list[tuple[iptc.Dataset, ...]] = []
    for block in blocks(container, "iptc"):
        found, whole = iptc.datasets(block)
        records.append(tuple(found))
        if not whole:
            unreadable.append("IPTC records")
    packets: list[xmp.Packet] = []
    for packet in blocks(container, "xmp"):
        try:
            packets.append(xmp.parse(packet))
        except xmp.BadPacket as error:
            unreadable.append("XMP packet")
            notes.append(f"The XMP packet was left out: {error}.")
    large = dict.fromkeys(name for packet in packets for name in packet.too_large)
    notes += [f"XMP's {name} was left out: it is too large." for name in large]
    comments = (("Comment", decode_text(container.comment)),) if container.comment else ()
    written = (*comments, *container.texts)
    unknown = [*container.unknown, *(name for tree in trees for name in tree.unknown)]
    unknown += [name for entries in records for name in iptc.unknown(entries)]
    unknown += [f"XMP's {name}" for packet in packets for name in (*packet.unknown, *packet.too_large)]
    unknown += texts.unknown(written)
    unknown += ["EXIF's ImageDescription" for tree in trees if _DOCUMENT.match(tree.text(tags.IMAGE_DESCRIPTION))]
    described = Described(tuple(trees), tuple(records), tuple(packets), written, unknown=tuple(dict.fromkeys(unknown)))
    return described, list(dict.fromkeys(unreadable)), notes


def _trees(found: Iterable[bytes], unreadable: list[str]) -> list[exif.Exif]:
    trees: list[exif.Exif] = []
    for block in found:
        try:
            trees.append(exif.parse(exif.block_of(block)))
        except ValueError:
            unreadable.append("EXIF data")
            continue
        if trees[-1].lost:
            unreadable.append("EXIF data")
    return trees


def stated(described: Described) -> Statements:
    """What the metadata say."""
    creators: list[str] = []
    notices: list[str] = []
    titles: list[str] = []
    keywords: list[str] = []
    descriptions: list[str] = []
    others: list[str] = []
    for packet in described.xmp:
        creators += [
            *xmp.values(packet, names.DC, "creator"), *xmp.values(packet, names.TIFF, "Artist"),
            *xmp.values(packet, names.EXIF_EX, "Photographer"), *xmp.named(packet, names.PLUS, "ImageCreatorName"),
            *xmp.values(packet, names.CC, "attributionName"),
        ]  # fmt: skip
        notices += [*xmp.values(packet, names.DC, "rights"), *xmp.values(packet, names.TIFF, "Copyright"),
                    *xmp.values(packet, names.RIGHTS, "UsageTerms")]  # fmt: skip
        titles += [*xmp.values(packet, names.DC, "title"), *xmp.values(packet, names.EXIF_EX, "ImageTitle")]
        keywords += xmp.values(packet, names.DC, "subject")
        keywords += [word.rpartition("|")[2] for word in xmp.values(packet, names.LIGHTROOM, "hierarchicalSubject")]
        descriptions += xmp.values(packet, names.DC, "description")
        others += _beside(packet)
    for entries in described.iptc:
        creators += iptc.texts(entries, iptc.BYLINE)
        notices += iptc.texts(entries, iptc.COPYRIGHT)
        titles += iptc.texts(entries, iptc.OBJECT_NAME)
        keywords += iptc.texts(entries, iptc.KEYWORDS)
        descriptions += iptc.texts(entries, iptc.CAPTION)
        others += [text for number in iptc.NAMING for text in iptc.texts(entries, number)]
        others += claims(text for number in iptc.DESCRIBING for text in iptc.texts(entries, number))
    for tree in described.exif:
        creators += [one for tag in (tags.ARTIST, tags.PHOTOGRAPHER, tags.XP_AUTHOR) for one in _parts(tree.text(tag))]
        notices.append(tree.text(tags.COPYRIGHT))
        titles += [tree.text(tag) for tag in (tags.IMAGE_TITLE, tags.XP_TITLE)]
        keywords += _parts(tree.text(tags.XP_KEYWORDS))
        descriptions.append(tree.text(tags.IMAGE_DESCRIPTION))
        others += [tree.owner, tree.text(tags.IMAGE_EDITOR)]
        others += claims(tree.text(tag) for tag in (tags.USER_COMMENT, tags.XP_COMMENT, tags.XP_SUBJECT))
    creators += [one for text in texts.texts_of(described.texts, "Author") for one in _parts(text)]
    notices += texts.texts_of(described.texts, "Copyright")
    titles += texts.texts_of(described.texts, "Title")
    descriptions += texts.texts_of(described.texts, "Description")
    others += [text for key, text in described.texts if texts.names_somebody(key)]
    others += claims([*descriptions, *titles, *keywords])
    others += claims(text for key in texts.DESCRIBING for text in texts.texts_of(described.texts, key))
    return Statements(*(_once(said) for said in (creators, notices, titles, keywords, descriptions, others)))


def _beside(packet: xmp.Packet) -> list[str]:
    """What a packet says of makers and owners beside creators and notices: whatever is not known to name nobody."""
    found: list[str] = []
    for one in packet.properties:
        for name, text in xmp.leaves(one):
            if names.is_silent(name) or one.tag == xmp.ORIENTATION or name in _READ:
                continue
            if not names.describes(name) or is_claim(text):
                found.append(_LICENCE.sub("", text))
    return found


def _parts(text: str) -> list[str]:
    """The several names or words of one text."""
    return text.split(";")


def _once(said: Iterable[str]) -> tuple[str, ...]:
    """Each text once, in its first spelling."""
    found: dict[str, str] = {}
    for text in said:
        if text.strip():
            found.setdefault(normal(text), text.strip())
    return tuple(found.values())


def of(container: Container) -> Statements:
    """What a decoded file says, as far as it can be read."""
    return stated(read(container)[0])

"""XMP packets: what of them is published, and the rights in a form that machines read.

(XMP specification part 1; PLUS License Data Format 2.0.1 for ``plus:DataMining``, as recommended by the IPTC Photo
Metadata Standard 2023.1.)
"""

from __future__ import annotations

import copy
import re
from bisect import bisect_left
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from shaded.publishing.embedded import Objection, left_out, objection, together
from shaded.publishing.xmp_names import (
    CC,
    DC,
    META,
    PHOTOSHOP,
    PLUS,
    PREFIXES,
    RDF,
    RIGHTS,
    XML,
    is_known,
    is_place,
    shown_name,
)
from shaded.publishing.xmp_reading import ORIENTATION, BadPacket, Packet, parse

__all__ = [
    "DC", "ORIENTATION", "PLUS", "VOCABULARY", "BadPacket", "Packet", "add", "data_mining", "leaves", "named",
    "orientation", "parse", "publishable", "serialise", "set_data_mining", "shrink", "values", "values_of",
]  # fmt: skip

VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
_OPEN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_CLOSE = '\n<?xpacket end="r"?>'
_LI, _RESOURCE, _LANG = f"{{{RDF}}}li", f"{{{RDF}}}resource", f"{{{XML}}}lang"
_LISTS = tuple(f"{{{RDF}}}{name}" for name in ("Alt", "Bag", "Seq"))
_FORM = (_LANG, f"{{{RDF}}}parseType")
_DATA_MINING = f"{{{PLUS}}}DataMining"
_LANGUAGE = re.compile(r"x-default|[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?", re.IGNORECASE)
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Left out last where a container has too little room: what is said about rights and people, then other words.
_LAST = (f"{{{PLUS}}}", f"{{{RIGHTS}}}", f"{{{CC}}}", f"{{{DC}}}creator", f"{{{DC}}}rights", f"{{{PHOTOSHOP}}}Credit")

for _prefix, _space in PREFIXES.items():
    register_namespace(_prefix, _space)


def serialise(packet: Packet) -> bytes:
    """The packet as it is written into a file: UTF-8, read-only wrapper, no padding."""
    root = Element(f"{{{META}}}xmpmeta")
    description = SubElement(SubElement(root, f"{{{RDF}}}RDF"), f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})
    description.extend(packet.properties)
    return (_OPEN + tostring(root, "unicode") + _CLOSE).encode("utf-8")


def values(packet: Packet, space: str, name: str) -> list[str]:
    """The texts of a property: of its list items, of the element itself, or the address that it points at.

    Of alternatives in several languages the default comes first.
    """
    found: list[str] = []
    for element in packet.properties:
        if element.tag == f"{{{space}}}{name}":
            found += values_of(element)
    return found


def values_of(element: Element) -> list[str]:
    """The texts of one property, in the same order."""
    found: list[str] = []
    items = sorted(element.iter(_LI), key=lambda item: item.get(_LANG) != "x-default") or [element]
    for item in items:
        found += ["".join(part.text or "" for part in item.iter()).strip(), item.get(_RESOURCE, "").strip()]
    return [text for text in found if text]


def leaves(element: Element, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a property, with the name of the innermost property or field that it belongs to."""
    own = name if name and element.tag.startswith(f"{{{RDF}}}") else element.tag
    if element.text and element.text.strip():
        yield own, element.text.strip()
    for key, value in element.attrib.items():
        if key not in _FORM and value.strip():
            yield own if key.startswith(f"{{{RDF}}}") else key, value.strip()
    for child in element:
        yield from leaves(child, own)


def named(packet: Packet, space: str, name: str) -> list[str]:
    """The texts of a field wherever it stands in the packet, such as the names in a list of people."""
    tag = f"{{{space}}}{name}"
    return [
        text.strip()
        for whole in packet.properties
        for part in whole.iter()
        for text in (part.text if part.tag == tag else "", part.get(tag, ""))
        if text and text.strip()
    ]


def _texts(element: Element) -> list[str]:
    written = (value for name, value in element.attrib.items() if name not in _FORM)
    return [text for text in (element.text, *written) if text and not text.isspace()]


def publishable(packet: Packet, *, gps: bool, notes: list[str]) -> Packet:
    """The packet without places, unless ``gps`` keeps them, and without texts that hold what they must not.

    What was left out of the texts goes to ``notes``, in sentences for a person.
    """
    kept: list[Element] = []
    for element in packet.properties:
        if not is_known(element.tag) or (not gps and is_place(element.tag)):
            continue
        mine = copy.deepcopy(element)
        for one in mine.iter():
            if not _LANGUAGE.fullmatch(one.get(_LANG, "x-default")):
                one.set(_LANG, "und")
        whole = _first_objection(_texts(mine), gps=gps)
        part = None if whole else _cleaned(mine, gps=gps)
        whole = whole or together([text for one in mine.iter() for text in _texts(one)], gps=gps)
        if whole:
            notes.append(left_out(f"XMP's {shown_name(element.tag)}", whole))
        elif part:
            notes.append(left_out(f"A part of XMP's {shown_name(element.tag)}", part))
        if not whole and (_texts(mine) or len(mine)):
            kept.append(mine)
    return Packet(kept)


def _first_objection(texts: list[str], *, gps: bool) -> Objection | None:
    return next((against for text in texts if (against := objection(text, gps=gps)) is not None), None)


def _cleaned(element: Element, *, gps: bool) -> Objection | None:
    """Take out of an element what may not be published, and what is empty then; the last objection to a text."""
    found: Objection | None = None
    for name in [name for name in element.attrib if not gps and is_place(name)]:
        del element.attrib[name]
    for child in list(element):
        if not gps and is_place(child.tag):
            element.remove(child)
            continue
        against = _first_objection(_texts(child), gps=gps)
        found = against or _cleaned(child, gps=gps) or found
        if against is not None or not (len(child) or _texts(child)):
            element.remove(child)
    return found


def data_mining(packet: Packet) -> str:
    """The last part of the ``plus:DataMining`` value, such as ``DMI-PROHIBITED``; empty when it is not stated."""
    stated = values(packet, PLUS, "DataMining")
    return stated[0].rsplit("/", 1)[-1] if stated else ""


def set_data_mining(packet: Packet, value: str) -> None:
    """State ``plus:DataMining`` once, by its vocabulary address."""
    packet.properties = [element for element in packet.properties if element.tag != _DATA_MINING]
    add(packet, PLUS, "DataMining", [VOCABULARY + value])


def orientation(packet: Packet) -> int | None:
    """What ``tiff:Orientation`` says, 1 to 8; ``None`` when it says nothing that makes sense."""
    stated = next((element.text or "" for element in packet.properties if element.tag == ORIENTATION), "").strip()
    return int(stated) if stated in tuple("12345678") else None


def add(packet: Packet, space: str, name: str, texts: list[str], box: str = "") -> None:
    """Add texts to a property: as items of its list ``box`` (``Bag``, ``Seq``, ``Alt``), or as a plain one without."""
    tag = f"{{{space}}}{name}"
    element = next((one for one in packet.properties if one.tag == tag), None)
    if element is None:
        element = Element(tag)
        packet.properties.append(element)
    if not box:
        element.text = _UNWRITABLE.sub("", texts[0])
        return
    collection = next((one for one in element if one.tag in _LISTS), None)
    if collection is None:
        collection = SubElement(element, f"{{{RDF}}}{box}")
        if element.text and element.text.strip():
            texts, element.text = [element.text, *texts], None
    for text in texts:
        item = SubElement(collection, _LI, {_LANG: "x-default"} if box == "Alt" else {})
        item.text = _UNWRITABLE.sub("", text)


def shrink(packet: Packet, most: int) -> tuple[Packet, list[str]]:
    """The packet without its largest properties, as few as it takes to be at most ``most`` bytes; and their names.

    Rights and people are left out last, and ``plus:DataMining`` never.
    """
    ranked = sorted(
        (one for one in packet.properties if one.tag != _DATA_MINING),
        key=lambda one: (one.tag.startswith(_LAST), -len(tostring(one, "utf-8"))),
    )

    def without(count: int) -> Packet:
        dropped = set(ranked[:count])
        return Packet([one for one in packet.properties if one not in dropped])

    count = bisect_left(range(len(ranked)), 1, key=lambda count: len(serialise(without(count))) <= most)
    return without(count), list(dict.fromkeys(shown_name(one.tag) for one in ranked[:count]))

"""Reading an XMP packet: one pass over somebody's XML that builds nothing but what may be published.

A packet with a document type is refused, so there are no entities. Whatever is not listed in
:mod:`shaded.publishing.xmp_names` is passed over, however deep or large it is; its name is noted where its words may
name somebody. A listed property that is too large or has too many parts is left out alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement
from xml.parsers import expat

from shaded.publishing.claims import has_words, is_claim, may_hold_words, shown
from shaded.publishing.xmp_names import (
    RDF,
    STRUCTURE,
    TIFF,
    XML,
    is_known,
    is_silent,
    names_somebody,
    only_describes,
    shown_name,
)

#: How a viewer turns the picture, where EXIF does not say; never published by name like other properties.
ORIENTATION = f"{{{TIFF}}}Orientation"
_ROOT = f"{{{RDF}}}RDF"
_DESCRIPTION = f"{{{RDF}}}Description"
_RESOURCE = f"{{{RDF}}}resource"
_PARSE_TYPE = f"{{{RDF}}}parseType"
_LANG = f"{{{XML}}}lang"
#: Items as numbered members, which means the same (RDF/XML, 5.2).
_MEMBER = re.compile(rf"\{{{re.escape(RDF)}\}}_\d+\Z")
_ITEM = f"{{{RDF}}}li"
#: What RDF says about an element itself, which is no word of anybody.
_ABOUT = frozenset({_LANG, f"{{{XML}}}space", *(f"{{{RDF}}}{name}" for name in ("parseType", "datatype", "nodeID", "ID",
                                                                               "about", "type"))})  # fmt: skip
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}\Z")
#: Where a packet begins, for readers that forgive what stands around it.
_BEGIN = re.compile(rb"<(?:\w{1,20}:)?(xmpmeta|xapmeta|RDF)[\s>]")
#: UTF-16, in which zeros at either end are a part of letters.
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")

_LARGEST_PACKET = 16_000_000
#: Characters and parts (elements, attributes) of one property, and parts of all that are kept and of the whole packet.
_LARGEST = 60_000
_MOST_PARTS = 5_000
_MOST_KEPT = 20_000
_MOST_IN_ALL = 1_000_000
_DEEPEST = 30
_MOST_NAMES = 20


class BadPacket(ValueError):  # noqa: N818 - says what the packet is
    """The packet cannot be read, or is not safe to read."""


@dataclass
class Packet:
    """What a packet says.

    Attributes:
        properties: In the order of the packet, each an element of its own.
        too_large: The names of those that were too large, or too deep.
        unknown: The names of those that were passed over, and hold words that may be a name.
    """

    properties: list[Element] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class _Reader:
    """The handlers of one pass."""

    def __init__(self) -> None:
        self.packet = Packet()
        self.seen = self.inside = False
        self._path: list[Element] = []
        self._level = 0  # elements open inside of rdf:RDF, except for what is passed over
        self._passed = 0  # elements open inside of what is passed over
        self._passed_name = ""
        self._parts = self._kept = self._parts_here = self._size_here = 0

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > _MOST_IN_ALL:
            raise BadPacket("it has too many parts")

    def opened(self, raw: str, attributes: dict[str, str]) -> None:
        self._count(1 + len(attributes))
        name = _ITEM if _MEMBER.match(clark := _clark(raw)) else clark
        if not self.inside:
            self.inside = name == _ROOT
            self.seen = self.seen or self.inside
        elif self._passed:
            self._passed += 1
            self._pass_over(self._passed_name, attributes)
        elif self._level == 0 and name == _DESCRIPTION:
            self._level = 1
            for key, value in attributes.items():
                self._short_form(_clark(key), value)
        elif self._level == 0 or not (name in STRUCTURE or is_known(name) if self._path else _starts(name)):
            self._passed = 1
            self._passed_name = name
            self._pass_over(name, attributes)
        else:
            self._open_kept(name, attributes)

    def _pass_over(self, name: str, attributes: dict[str, str]) -> None:
        for key, value in ((_clark(key), value) for key, value in attributes.items()):
            if key not in _ABOUT and not is_silent(key):
                self._doubt(name, value)

    def _doubt(self, name: str, text: str) -> None:
        """Note a property that is passed over, where its text may name somebody."""
        if not is_silent(name):
            self._note(name, text)

    def _note(self, name: str, text: str) -> None:
        shorter = shown(shown_name(name))
        noted = self.packet.unknown
        if len(noted) >= _MOST_NAMES or shorter in noted:
            return
        if is_claim(text) if only_describes(name) else has_words(text):
            noted.append(shorter)

    def _short_form(self, name: str, value: str) -> None:
        """A property as an attribute of a description."""
        if not _starts(name):
            if name not in _ABOUT:
                self._doubt(name, value)
        else:
            self._begin()
            element = Element(name)
            element.text = value
            if self._weigh(1, len(value)):
                self.packet.properties.append(element)
            else:
                self.packet.too_large.append(shown_name(name))

    def _begin(self) -> None:
        self._parts_here = self._size_here = 0

    def _weigh(self, parts: int, size: int) -> bool:
        """Whether the property is still small enough with so much more."""
        self._parts_here += parts
        self._size_here += size
        self._kept += parts
        return self._parts_here <= _MOST_PARTS and self._size_here <= _LARGEST and self._kept <= _MOST_KEPT

    def _open_kept(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path:
            self._begin()
        stated = {_clark(key): value for key, value in attributes.items()}
        kept = {key: value for key, value in stated.items() if _keeps(key, value)}
        for key in stated.keys() - kept.keys() - _ABOUT:
            self._doubt(key if key in STRUCTURE or not key.startswith("{" + RDF) else name, stated[key])
        element = SubElement(self._path[-1], name, kept) if self._path else Element(name, kept)
        self._path.append(element)
        self._level += 1
        if not self._weigh(1 + len(kept), sum(map(len, kept.values()))) or len(self._path) > _DEEPEST:
            self._give_up()

    def _give_up(self) -> None:
        """Leave the open property out, and pass over the rest of it."""
        self.packet.too_large.append(shown_name(self._path[0].tag))
        self._passed = len(self._path)
        self._passed_name = self._path[0].tag
        self._level = 1
        self._kept -= self._parts_here
        self._path.clear()

    def closed(self, raw: str) -> None:
        if self._passed:
            self._passed -= 1
        elif self._path:
            element = self._path.pop()
            self._level -= 1
            if not self._path:
                self.packet.properties.append(element)
        elif self._level:
            self._level = 0
        elif self.inside and _clark(raw) == _ROOT:
            self.inside = False

    def text(self, data: str) -> None:
        if self._passed:
            self._doubt(self._passed_name, data)
            return
        if not self._path:  # text that belongs to no property
            self._note("packet", data)
            return
        element = self._path[-1]
        if len(element):  # text behind an inner element belongs to nothing
            self._note(self._path[0].tag, data)
            return
        if not self._weigh(0, len(data)):
            self._give_up()
            return
        element.text = (element.text or "") + data


def _clark(raw: str) -> str:
    return "{" + raw if "}" in raw else raw


def _starts(name: str) -> bool:
    """Whether an element or attribute of a description is a property that is read."""
    return is_known(name) or name == ORIENTATION or names_somebody(name)


def _keeps(name: str, value: str) -> bool:
    if name == _LANG:
        return _LANGUAGE.match(value) is not None
    return name == _RESOURCE or (name == _PARSE_TYPE and value == "Resource") or is_known(name)


def _typed(*_declaration: object) -> None:
    raise BadPacket("it declares a document type")


def _pass_over(content: bytes) -> _Reader:
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = reader.opened
    parser.EndElementHandler = reader.closed
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _typed
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, BadPacket):
            raise
        if not reader.seen or reader.inside:
            raise BadPacket("it is not well-formed XML") from error
        if may_hold_words(content[max(parser.ErrorByteIndex, 0) :]):
            reader.packet.unknown.append("end")
    return reader


def parse(packet: bytes | None) -> Packet:
    """Read a packet; ``None`` gives an empty one.

    What stands around the packet's XML is forgiven, as is damage behind its last property.

    Raises:
        BadPacket: It is not XMP, or not safe to read.
    """
    if packet is None:
        return Packet()
    content = packet if packet.startswith(_WIDE) else packet.strip(b"\0 \t\r\n")
    if len(content) > _LARGEST_PACKET:
        raise BadPacket("it is too large")
    try:
        reader = _pass_over(content)
    except BadPacket as error:
        begin = _BEGIN.search(content)
        if begin is None or not isinstance(error.__cause__, expat.ExpatError):
            raise
        end = content.rfind(begin[1] + b">") + len(begin[1]) + 1
        reader = _pass_over(content[begin.start() : end])
    if not reader.seen:
        raise BadPacket("it is not XMP")
    return reader.packet

"""XMP packets: read safely, stripped of places and previews, given the machine-readable rights.

A packet is somebody's XML: it is parsed only when it has no document type (so no entities), is not absurdly deep, and
is not huge. What is unknown stays as it was. (XMP specification part 1; PLUS License Data Format 2.0.1 for
``plus:DataMining``, as recommended by the IPTC Photo Metadata Standard 2023.1.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.dom.minidom import Document, Element, Node, parseString
from xml.parsers import expat

from shaded.publishing.embedded import holds_picture

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_XML = "http://www.w3.org/XML/1998/namespace"
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'.encode()
_OPEN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_CLOSE = '\n<?xpacket end="r"?>'
_DEEPEST = 60
_LARGEST = 4_000_000
#: Elements and attributes; a document of more would take a hundred times its size in memory.
_MOST_NODES = 20_000
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Properties that hold or point at further pictures: (namespace, local name; empty: all of the namespace).
_PREVIEWS = (
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xap/1.0/g/img/", ""),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
    ("http://ns.google.com/photos/", ""),
    ("http://ns.adobe.com/hdr-gain-map/1.0/", ""),
    ("http://ns.apple.com/HDRGainMap/1.0/", ""),
    ("http://ns.apple.com/pixeldatainfo/1.0/", ""),
)


class BadPacket(ValueError):  # noqa: N818 - says what the packet is
    """The packet cannot be read, or is not safe to read."""


def _guard(packet: bytes) -> None:
    """One pass that builds nothing and stops at a document type, great depth, too many nodes, and bad XML."""
    depth = nodes = 0
    parser = expat.ParserCreate()

    def opened(_name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, nodes
        depth += 1
        nodes += 1 + len(attributes)
        if depth > _DEEPEST:
            raise BadPacket("it is nested too deeply")
        if nodes > _MOST_NODES:
            raise BadPacket("it has too many parts")

    def closed(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def typed(*_declaration: object) -> None:
        raise BadPacket("it declares a document type")

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.StartDoctypeDeclHandler = typed
    try:
        parser.Parse(packet, True)
    except (expat.ExpatError, LookupError) as error:
        raise BadPacket("it is not well-formed XML") from error


def parse(packet: bytes | None) -> Document:
    """Read a packet; ``None`` gives an empty one.

    Raises:
        BadPacket: It is not XMP, or not safe to read.
    """
    content = _EMPTY if packet is None else packet.strip(b"\0 \t\r\n")
    if len(content) > _LARGEST:
        raise BadPacket("it is too large")
    _guard(content)
    try:
        document = parseString(content)  # noqa: S318 - guarded above
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadPacket("it is not well-formed XML") from error
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise BadPacket("it is not XMP")
    return document


def serialise(document: Document) -> bytes:
    """The packet as it is written into a file: UTF-8, read-only wrapper, no padding."""
    root = document.documentElement
    if root is None:  # an empty document is never parsed into one
        raise BadPacket("it is not XMP")
    return (_OPEN + root.toxml() + _CLOSE).encode("utf-8")


def is_empty(document: Document) -> bool:
    """Whether the packet states no property."""
    return not any(_properties(document))


def _elements(node: Node) -> Iterator[Element]:
    for child in list(node.childNodes):
        if isinstance(child, Element):
            yield child
            yield from _elements(child)


def _attributes(element: Element) -> list[tuple[str, str, str]]:
    """Namespace, local name and value of each attribute that is no namespace declaration."""
    return [
        (space or "", name, value)
        for (space, name), value in element.attributes.itemsNS()
        if space != _XMLNS and name != "xmlns"
    ]


def _descriptions(document: Document) -> list[Element]:
    return [
        child
        for root in document.getElementsByTagNameNS(RDF, "RDF")
        for child in root.childNodes
        if isinstance(child, Element) and child.namespaceURI == RDF
    ]


def _properties(document: Document) -> Iterator[tuple[str, str]]:
    for description in _descriptions(document):
        for space, name, _ in _attributes(description):
            if space not in (RDF, _XML, ""):
                yield space, name
        for child in description.childNodes:
            if isinstance(child, Element):
                yield child.namespaceURI or "", child.localName


def _text(element: Element) -> str:
    return "".join(
        child.data for child in element.childNodes if child.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE)
    ).strip()


def values(document: Document, space: str, name: str) -> list[str]:
    """The texts of a top-level property: of its list items, of the element itself, or of the short (attribute) form."""
    found: list[str] = []
    for description in _descriptions(document):
        found += [value.strip() for where, local, value in _attributes(description) if (where, local) == (space, name)]
        for child in description.childNodes:
            if isinstance(child, Element) and (child.namespaceURI, child.localName) == (space, name):
                items = child.getElementsByTagNameNS(RDF, "li")
                texts = [_text(item) for item in items] if items else [_text(child)]
                found += [*texts, child.getAttributeNS(RDF, "resource").strip()]
    return [text for text in found if text]


def _unwanted(space: str, name: str, value: str, *, gps: bool) -> bool:
    if not gps and name.casefold().startswith("gps"):
        return True
    if any(space.startswith(where) and local in ("", name) for where, local in _PREVIEWS):
        return True
    return holds_picture(value.encode("utf-8", "replace"))


def strip(document: Document, *, gps: bool) -> None:
    """Take out everything that holds another picture, at any depth, and the place unless ``gps`` keeps it."""
    for element in [*_elements(document)]:
        if _unwanted(element.namespaceURI or "", element.localName, _text(element), gps=gps):
            if element.parentNode is not None:
                element.parentNode.removeChild(element)
            continue
        for space, name, value in _attributes(element):
            if _unwanted(space, name, value, gps=gps):
                element.removeAttributeNS(space, name)


def _remove(document: Document, space: str, name: str) -> None:
    for description in _descriptions(document):
        if description.hasAttributeNS(space, name):
            description.removeAttributeNS(space, name)
        for child in list(description.childNodes):
            if isinstance(child, Element) and (child.namespaceURI, child.localName) == (space, name):
                description.removeChild(child)


def _description(document: Document) -> Element:
    """A new, last description of the same subject; its prefixes are its own, whatever the packet uses."""
    about = next((one.getAttributeNS(RDF, "about") for one in _descriptions(document)), "")
    made = document.createElementNS(RDF, "rdf:Description")
    for prefix, space in (("rdf", RDF), ("dc", DC), ("plus", PLUS)):
        made.setAttributeNS(_XMLNS, f"xmlns:{prefix}", space)
    made.setAttributeNS(RDF, "rdf:about", about)
    document.getElementsByTagNameNS(RDF, "RDF")[0].appendChild(made)
    return made


def _append(document: Document, name: str, text: str, box: str = "") -> None:
    holder = document.createElementNS(PLUS if name.startswith("plus:") else DC, name)
    _description(document).appendChild(holder)
    leaf = holder
    if box:
        collection = document.createElementNS(RDF, box)
        leaf = document.createElementNS(RDF, "rdf:li")
        if box == "rdf:Alt":
            leaf.setAttributeNS(_XML, "xml:lang", "x-default")
        collection.appendChild(leaf)
        holder.appendChild(collection)
    leaf.appendChild(document.createTextNode(_UNWRITABLE.sub("", text)))


def data_mining(document: Document) -> str:
    """The last part of the ``plus:DataMining`` value, such as ``DMI-PROHIBITED``; empty when it is not stated."""
    stated = values(document, PLUS, "DataMining")
    return stated[0].rsplit("/", 1)[-1] if stated else ""


def set_data_mining(document: Document, value: str) -> None:
    """State ``plus:DataMining`` once, by its vocabulary address."""
    _remove(document, PLUS, "DataMining")
    _append(document, "plus:DataMining", VOCABULARY + value)


def add_creator(document: Document, name: str) -> None:
    """Name the creator, unless the packet names one."""
    if not values(document, DC, "creator"):
        _remove(document, DC, "creator")
        _append(document, "dc:creator", name, "rdf:Seq")


def add_notice(document: Document, notice: str) -> None:
    """State the copyright notice, unless the packet states one."""
    if not values(document, DC, "rights"):
        _remove(document, DC, "rights")
        _append(document, "dc:rights", notice, "rdf:Alt")

"""What may name a maker or an owner: words in a piece that nobody here knows, and claims in a text that describes.

In doubt something counts: the person behind a picture is worth more than a default in the settings.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import unquote

#: Bytes of no text that are longer may be words that are packed.
_MOST_BYTES = 256
_LONGEST_NAME = 40
_ODD = re.compile(r"[^\w .:()/#-]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_RUN = re.compile(rb"[A-Za-z\x80-\xff][A-Za-z\x80-\xff .,'&@-]{3,}")
#: Two letters, or one that may be a word by itself.
_LETTERS = re.compile(r"[^\W\d_]{2}|[^\W\d_A-Za-z]")
#: Letters that are no words: digests, identifiers, answers, and addresses of vocabularies.
_NO_WORDS = re.compile(
    r"(?<![0-9a-f])(?:[0-9a-f]{128}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32}"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})(?![0-9a-f])"
    r"|\b(?:true|false|yes|no|none|null|unknown|inf|nan)\b|https?://(?:ns\.|purl\.org/|cv\.iptc\.org/|www\.w3\.org/)\S*",
    re.IGNORECASE,
)
#: Notices in all spellings, and addresses of people.
_NOTICE = re.compile(
    r"[©ⓒⒸ℗🄯]|\(\s*[cp]\s*\)|\\u00a9|\\xa9|\bcopy(?:right|left)|\bcopr\b|\bcc[ -]by\b|\brights\s+reserved"
    r"|\burheberrecht|\bdroits?\s+d['\u2019]auteur|\bderechos\s+de\s+autor|\bdiritti\s+d['\u2019]autore|\bdireitos\s+autorais|\bauteursrecht"
    r"|\bproperty\s+of\b|\bcourtesy\b|\bmit\s+freundlicher\s+genehmigung|\bcourtoisie|\bcortes[ií]a\s+d|著作|版权|版權|저작권"
    r"|[^\s@<>]@[^\s@<>]+\.\w|(?<!\S)@\w{2}",
    re.IGNORECASE,
)
#: Who somebody is to a picture, and what a picture is, in several languages.
_PEOPLE = (
    r"artists?|artista|artiste|künstler(?:in)?|kunstenaar|authors?|autor(?:in|a|e|es)?|auteure?|auteurs|creators?"
    r"|créateur|creador|criador|urheber(?:in)?|photograph(?:er|e)|fotograf(?:in|o|a|ía|ie)?|photographe|illustrat(?:or"
    r"|eur|rice)|illustratore|ilustrador(?:a)?|painter|maler(?:in)?|peintre|pintor(?:a)?|pittore|designer|zeichner(?:in)?"
    r"|dessinateur|dibujante|owner|eigentümer|propriétaire|licensor|rights|credits?|crédits?|créditos?|crediti"
)
_THINGS = (
    r"photos?|fotos?|photograph(?:y|s)?|photographie|fotografie|pictures?|images?|imagen|imagem|immagine|bild|illustrations?"
    r"|ilustraci[oó]n|ilustração|illustrazione|art|artwork|arte|kunst|paintings?|gemälde|peinture|pintura|dipinto"
    r"|drawings?|zeichnung|dessin|dibujo|desenho|disegno|sketch|skizze|source|quelle|fuente|fonte|made|drawn|painted"
    r"|illustrated|photographed|shot|taken|sketched|created|designed|credit"
)
_CREDIT = re.compile(
    rf"(?<!\w)(?:{_PEOPLE}|{_THINGS})\s*[:=\uff1a|/\u2013\u2014-]\s*[^\W\d_]|\b(?:{_THINGS})\s+(?:by|von|par|por)\s+[^\W\d_]"
    r"|(?:作者|撮影|撮影者|絵師|イラスト|画师|摄影|攝影)\s*[:\uff1a]?\s*\w",
    re.IGNORECASE,
)
#: Words after which a name comes, and its first letter. "Of" is the same word as "by" in many languages, so that a
#: "Vue de Paris" is no claim: there the name has two parts, or the text begins with the word.
_MADE = (
    r"gemalt|gezeichnet|fotografiert|aufgenommen|gestaltet|illustriert|peinte?|dessinée?|photographiée?|illustrée?|pintad[oa]"
    r"|dibujad[oa]|fotografiad[oa]|desenhad[oa]|ilustrad[oa]|dipint[oa]|disegnat[oa]|fotografat[oa]|illustrat[oa]"
    r"|geschilderd|getekend|målad|ritad|tegnet|malet|obra|œuvre|oeuvre|werk|opera|tableau|cuadro"
)
_OF = "von|vom|par|por|de|di|door|van|av|af"
_BEFORE_A_NAME = re.compile(
    rf"(?<!\w)(?i:by|{_PEOPLE})\s+(?!(?i:the|an?|my|our|all|and|und|et)\b)([^\W\d_])"
    rf"|(?:^|[\n(\[:;.,\u2013\u2014-]\s*)(?i:{_OF})\s+([^\W\d_])"
    rf"|(?<!\w)(?i:(?:{_THINGS}|{_MADE})\s+(?:{_OF}))\s+([^\W\d_])"
    rf"|(?<!\w)(?i:{_OF})\s+([^\W\d_])[\w'\u2019.-]*\s+(?=[^\W\d_a-zß-öø-ÿ])[^\W\d_]"
)
#: What programs write about themselves with the same words.
_PROGRAMS = re.compile(
    r"\bcreator:\s*(?:gd-jpeg|xv)[^\n]*|\b(?:written|created|generated|saved|edited|encoded|exported|made|compressed"
    r"|optimi[sz]ed|processed|produced)\s+(?:by|with|using|in)\s+(?:adobe|photoshop|the\s+gimp|gimp|krita|imagemagick"
    r"|snapseed|picasa|paint\.net|accusoft|ulead|corel|acdsee|xnview|irfanview|inkscape|blender|procreate|clip\s+studio"
    r"|ijg|libjpeg|ffmpeg|lead)\b[^\n]*",
    re.IGNORECASE,
)
#: In content credentials: the statements that name somebody.
_CREDENTIALS = re.compile(rb"CreativeWork|cawg\.|author|copyright|creator\"", re.IGNORECASE)


def shown(name: str) -> str:
    """A name out of a file as it can stand in a message: short, and without odd characters."""
    return _ODD.sub("?", name[:_LONGEST_NAME])


def has_words(text: str) -> bool:
    """Whether a text may hold a name: it has letters, and is no number, date, digest or answer."""
    return _LETTERS.search(_NO_WORDS.sub(" ", text)) is not None


def may_hold_words(raw: bytes) -> bool:
    """Whether bytes that nobody here reads may hold a name, in whatever encoding."""
    bare = raw.strip(b"\0 \t\r\n")
    try:
        text = bare.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and _CONTROL.search(text) is None:
        return has_words(text)
    return len(bare) > _MOST_BYTES or _RUN.search(raw) is not None or _RUN.search(raw.replace(b"\0", b"")) is not None


def credentials_may_name(content: bytes) -> bool:
    """Whether content credentials (C2PA) have a statement on who made the picture."""
    return _CREDENTIALS.search(content) is not None


def is_claim(text: str) -> bool:
    """Whether a text that ought to describe reads like a notice, a credit line or a maker's name."""
    plain = unquote(html.unescape(text.replace("\0", "")))
    if _NOTICE.search(plain) is not None:
        return True
    plain = _PROGRAMS.sub(" ", plain)
    if _CREDIT.search(plain) is not None:
        return True
    return any(not found[found.lastindex or 0].islower() for found in _BEFORE_A_NAME.finditer(plain))


def claims(found: Iterable[str]) -> list[str]:
    """The texts that claim something."""
    return [text for text in found if is_claim(text)]

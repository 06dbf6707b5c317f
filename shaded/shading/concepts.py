"""Concepts: what a picture shows, and the unrelated thing that it is moved toward. Pure, without torch.

The classifier speaks in 1000 narrow classes, people in everyday words. A `Vocabulary` joins the two.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ARTICLES = frozenset({"a", "an", "the", "my", "our", "his", "her", "their", "some"})
# What follows one of these says where the thing is or what it is made of, not what it is.
_PREPOSITIONS = frozenset(
    {"in", "on", "at", "by", "with", "under", "over", "near", "of", "from", "for", "among", "behind"}
    | {"beside", "before", "against", "through", "and", "into"}
    | {"eating", "wearing", "holding", "sitting", "standing"}
)


@dataclass(frozen=True)
class Concept:
    """An everyday thing: its singular name, its coarse kind, and what else it is known by.

    Attributes:
        name: lower-case singular word or words, as shown to people.
        kind: coarse family (`animal`, `food`, ...); a target is always taken from another one.
        classes: the classifier's classes (ILSVRC2012 indices, 0-999) that mean it; empty if it has none.
        aliases: other words that an artist may use for it.
    """

    name: str
    kind: str
    classes: tuple[int, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """All concepts, and for each kind the other kinds that are too near to it to count as unrelated."""

    concepts: tuple[Concept, ...]
    related: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def get(self, name: str) -> Concept | None:
        """Give the concept of exactly this name."""
        return self._by_name.get(name)

    def unrelated(self, kind: str, other_kind: str) -> bool:
        """Tell whether two kinds are far enough apart for one to be the other's target."""
        nothing: frozenset[str] = frozenset()
        return (
            kind != other_kind
            and other_kind not in self.related.get(kind, nothing)
            and kind not in self.related.get(other_kind, nothing)
        )

    @functools.cached_property
    def _by_name(self) -> dict[str, Concept]:
        return {concept.name: concept for concept in self.concepts}

    @functools.cached_property
    def by_word(self) -> dict[str, Concept]:
        """Every name and alias in its normal form; a name wins over another concept's alias."""
        by_alias = {_normal(alias): concept for concept in self.concepts for alias in concept.aliases}
        return by_alias | {_normal(concept.name): concept for concept in self.concepts}


def vocabulary_of(tables: Mapping[str, Mapping[str, Any]]) -> Vocabulary:
    """Build the vocabulary from the tables of `vocabulary.toml`: `[related]`, and one table of concepts per kind.

    Raises:
        ValueError: a range of classes is not written as `7 8 10-16`.
    """
    related = {kind: frozenset(others) for kind, others in tables["related"].items()}
    concepts = tuple(
        Concept(name, kind, tuple(_class_indices(entry.get("classes", ""))), tuple(entry.get("aliases", ())))
        for kind, entries in tables.items()
        if kind != "related"
        for name, entry in entries.items()
    )
    return Vocabulary(concepts, related)


def _class_indices(ranges: str) -> Iterator[int]:
    """Expand `"7 8 10-16"` to the numbers it names."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def concept_scores(class_probabilities: Sequence[float], vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """Sum the classifier's probabilities per concept.

    Args:
        class_probabilities: one probability per class, 0-1, in the order of ILSVRC2012's indices.
        vocabulary: the concepts and their classes.

    Returns:
        `(concept name, confidence)` for every concept that has classes, most confident first.
    """
    scores = [
        (concept.name, min(1.0, sum(class_probabilities[index] for index in concept.classes)))
        for concept in vocabulary.concepts
        if concept.classes
    ]
    return sorted(scores, key=lambda score: (-score[1], score[0]))


def resolve_concept(word: str, vocabulary: Vocabulary) -> Concept | None:
    """Find the concept that an artist's own word or short phrase means.

    Case, articles, plurals and accompanying words do not matter: `The Red Cows in a meadow` is a cow. The
    head of the phrase decides: the longest known ending of what comes before the first preposition.

    Returns:
        The concept, or None where the vocabulary does not know it (the word then stands for itself).
    """
    words = _words(word)
    head = _head(words)
    phrases = [words, *(head[start:] for start in range(len(head)))]
    known = (vocabulary.by_word.get(_normal(" ".join(phrase))) for phrase in phrases)
    return next((concept for concept in known if concept is not None), None)


def choose_target(source: str, gallery_concepts: Iterable[str], vocabulary: Vocabulary, secret: bytes) -> str:
    """Choose the unrelated concept that pictures of `source` are moved toward.

    Each candidate is scored with HMAC-SHA256(secret, source and candidate), and the highest score wins
    (rendezvous hashing: Thaler and Ravishankar, 1998). So the choice is the same as long as the secret is,
    two secrets choose differently, and an added anchor changes a choice only where it wins it.

    Args:
        source: what the picture shows: a concept's name, an alias of it, or any free word.
        gallery_concepts: the concepts that an anchor exists for.
        vocabulary: tells which of them are related to the source.
        secret: this installation's secret bytes; none for the choice that all installations share.

    Raises:
        ValueError: `gallery_concepts` holds nothing that is unrelated to the source.
    """
    concept = resolve_concept(source, vocabulary)
    key = concept.name if concept else " ".join(_words(source))
    candidates = [name for name in set(gallery_concepts) if _unrelated(key, concept, name, vocabulary)]
    if not candidates:
        raise ValueError(f"no target is unrelated to {source!r}: add anchors of another kind")
    return max(candidates, key=lambda name: (_score(secret, key, name), name))


def alt_text(concept: str, title: str | None = None) -> str:
    """Suggest a short alternative text that contains the concept, and the picture's title if it has one."""
    article = "an" if concept[:1].lower() in "aeiou" else "a"
    title = (title or "").strip().rstrip(".")
    if not title:
        return f"A picture of {article} {concept}."
    if re.search(rf"\b{re.escape(concept)}\b", title, re.IGNORECASE):
        return f"{title}."
    return f"{title}: a picture of {article} {concept}."


def _unrelated(key: str, concept: Concept | None, candidate: str, vocabulary: Vocabulary) -> bool:
    target = vocabulary.get(candidate)
    if set(_normal(key).split()) & set(_normal(candidate).split()):
        return False
    return concept is None or target is None or vocabulary.unrelated(concept.kind, target.kind)


def _score(secret: bytes, source: str, candidate: str) -> bytes:
    return hmac.new(secret, f"{source}\0{candidate}".encode(), hashlib.sha256).digest()


def _words(text: str) -> list[str]:
    words = re.findall(r"[^\W_]+(?:['-]+[^\W_]+)*", _plain_quotes(text))
    return words[1:] if len(words) > 1 and words[0] in _ARTICLES else words


def _head(words: list[str]) -> list[str]:
    """Cut a phrase before its first preposition: `cow in a meadow` -> `cow`."""
    for position, word in enumerate(words):
        if position and word in _PREPOSITIONS:
            return words[:position]
    return words


def _normal(text: str) -> str:
    """Bring a word or phrase to the form in which it is looked up: no hyphens, the last word singular."""
    words = _plain_quotes(text).replace("-", " ").split()
    return " ".join([*words[:-1], _singular(words[-1])]) if words else ""


def _plain_quotes(text: str) -> str:
    return text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def _singular(word: str) -> str:
    """Strip an English plural; applied to both sides of a comparison, so it need only be consistent."""
    irregular = {"wolves": "wolf", "leaves": "leaf", "knives": "knife", "geese": "goose", "calves": "calf"}
    if word in irregular:
        return irregular[word]
    endings = (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("sses", "ss"), ("oes", "o"))
    for ending, replacement in endings:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + replacement
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word

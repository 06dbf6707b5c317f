"""The vocabulary's arithmetic: what a picture shows, and what it is moved toward."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.shading.concepts import (
    Concept,
    Vocabulary,
    alt_text,
    choose_target,
    concept_scores,
    resolve_concept,
)

SMALL = Vocabulary(
    (
        Concept("cow", "animal", (0, 1), ("bull", "calf", "ox", "cattle")),
        Concept("fox", "animal", (2,)),
        Concept("bow", "tool", (3,), ("bow and arrow",)),
        Concept("teapot", "kitchenware", (4,), ("kettle",)),
        Concept("cherry", "food", (5,)),
        Concept("hot-air balloon", "vehicle", (6,), ("balloon",)),
        Concept("knife", "tool", ()),
        Concept("goldfish", "animal", (7,)),
        Concept("person", "person", ()),
    ),
    {"person": frozenset({"animal"})},
)
GALLERY = ("teapot", "cherry", "hot-air balloon", "goldfish", "knife")
SECRETS = st.binary(min_size=16, max_size=32)


def test_probabilities_of_a_concepts_classes_are_summed() -> None:
    """The confidence in a concept is the sum over its classes, and the most confident comes first."""
    scores = concept_scores([0.2, 0.3, 0.4, 0.0, 0.1, 0.0, 0.0, 0.0], SMALL)
    assert scores[0] == ("cow", pytest.approx(0.5))
    assert scores[1] == ("fox", pytest.approx(0.4))


def test_a_concept_without_classes_is_never_scored() -> None:
    """Only the artist can name what the classifier has no class for."""
    assert "knife" not in dict(concept_scores([0.1] * 8, SMALL))


def test_a_confidence_never_exceeds_one() -> None:
    """Rounding in the sum does not carry a confidence over 1."""
    assert dict(concept_scores([0.6, 0.4000001, 0, 0, 0, 0, 0, 0], SMALL))["cow"] == 1.0


@pytest.mark.parametrize(
    ("word", "concept"),
    [
        ("cow", "cow"),
        ("Cows", "cow"),
        ("a red cow", "cow"),
        ("The Bull", "cow"),
        ("calves", "cow"),
        ("my little cow in the meadow with a fox", "cow"),
        ("bow and arrow", "bow"),
        ("foxes", "fox"),
        ("CHERRIES", "cherry"),
        ("knives", "knife"),
        ("hot air balloons", "hot-air balloon"),
        ("Hot-Air Balloon", "hot-air balloon"),
        ("old kettle", "teapot"),
    ],
)
def test_an_artists_word_finds_its_concept(word: str, concept: str) -> None:
    """Case, articles, plurals, adjectives, hyphens and what follows a preposition do not matter."""
    found = resolve_concept(word, SMALL)
    assert found is not None
    assert found.name == concept


@pytest.mark.parametrize("word", ["", "  ", "zeppelin", "the", "a meadow with a cow", "cowslip", "42"])
def test_an_unknown_word_finds_nothing(word: str) -> None:
    """A word that the vocabulary does not hold is not forced into it."""
    assert resolve_concept(word, SMALL) is None


@given(st.text(max_size=60))
def test_any_text_resolves_without_an_error(word: str) -> None:
    """Whatever stands in a picture's metadata, resolving it gives a concept or nothing."""
    found = resolve_concept(word, SMALL)
    assert found is None or found in SMALL.concepts


@given(SECRETS, st.sampled_from(["cow", "fox", "bow", "person", "zeppelin", "a portrait of Anna"]))
def test_a_target_is_stable_and_unrelated(secret: bytes, source: str) -> None:
    """One secret and source give one target in any order of the gallery, and never a related one."""
    target = choose_target(source, GALLERY, SMALL, secret)
    assert target == choose_target(source, reversed(GALLERY), SMALL, secret)
    if source in ("cow", "fox", "person"):
        assert target != "goldfish"
    if source == "bow":
        assert target != "knife"


def test_other_names_of_one_thing_share_its_target() -> None:
    """Shading is collective, so a bull, a calf and some cows are all moved toward the same concept."""
    targets = {choose_target(word, GALLERY, SMALL, b"secret") for word in ("cow", "Bull", "a calf", "red cows")}
    assert len(targets) == 1


def test_two_installations_choose_differently() -> None:
    """Secrets spread one source over all its candidates, so that artists do not share a fixed target."""
    targets = {choose_target("cow", GALLERY, SMALL, number.to_bytes(16, "big")) for number in range(64)}
    assert targets == set(GALLERY) - {"goldfish"}


@given(SECRETS, st.sampled_from(["cow", "fox", "zeppelin"]))
def test_a_growing_gallery_keeps_a_target_unless_the_newcomer_wins(secret: bytes, source: str) -> None:
    """An added anchor changes a source's target only to itself."""
    before = choose_target(source, GALLERY, SMALL, secret)
    assert choose_target(source, (*GALLERY, "sundial"), SMALL, secret) in {before, "sundial"}


def test_a_free_word_is_never_moved_toward_a_part_of_itself() -> None:
    """A `cherry blossom fairy` that nobody knows is not moved toward a cherry."""
    targets = {choose_target("cherry blossom fairy", GALLERY, SMALL, bytes([n])) for n in range(64)}
    assert "cherry" not in targets
    assert len(targets) > 1


def test_no_unrelated_anchor_is_an_error() -> None:
    """A gallery that holds only the source's own kind is refused with the reason."""
    with pytest.raises(ValueError, match="unrelated to 'cow'"):
        choose_target("cow", ("goldfish", "fox"), SMALL, b"secret")


@pytest.mark.parametrize(
    ("concept", "title", "text"),
    [
        ("cow", None, "A picture of a cow."),
        ("owl", "  ", "A picture of an owl."),
        ("cow", "Evening on the alp.", "Evening on the alp: a picture of a cow."),
        ("cow", "My Cow at dusk", "My Cow at dusk."),
        ("cow", "Cowslips", "Cowslips: a picture of a cow."),
    ],
)
def test_alt_text_contains_the_concept(concept: str, title: str | None, text: str) -> None:
    """The suggestion uses the title, and says the concept where the title does not."""
    assert alt_text(concept, title) == text


def test_concepts_import_without_torch() -> None:
    """A process that only chooses targets does not pay for torch."""
    code = (
        "import sys; from shaded.models import gallery_files, tagger_weights;"
        "gallery_files.load_gallery(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

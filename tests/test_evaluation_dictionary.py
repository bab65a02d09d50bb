"""The dictionary of phrases: it recovers an invented language, its probabilities add up, and it copies what is new."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm.evaluation import DictionaryBaseline
from keras_llm.evaluation.alignment import grown, model_1, phrase_pairs

NOUNS = {"dog": "wuf", "cat": "miu", "house": "kasu", "tree": "arbu", "boat": "navu", "moon": "lunu"}
ADJECTIVES = {"red": "roki", "big": "grani", "old": "veki", "blue": "azi"}
VERBS = {"sees": "vidat", "likes": "amat", "paints": "pinat"}


def invented(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Pairs of a language that puts adjectives behind nouns, and says "ice cream" in one word."""
    draw = random.Random(seed)

    def thing() -> tuple[str, str]:
        if draw.random() < 0.2:
            return "ice cream", "gelu"
        noun, adjective = draw.choice([*NOUNS]), draw.choice([*ADJECTIVES])
        if draw.random() < 0.3:
            return noun, NOUNS[noun]
        return f"{adjective} {noun}", f"{NOUNS[noun]} {ADJECTIVES[adjective]}"

    pairs = []
    for _ in range(n):
        (who, cia), verb, (what, kon) = thing(), draw.choice([*VERBS]), thing()
        pairs.append((f"{who} {verb} {what}.".capitalize(), f"{cia} {VERBS[verb]} {kon}.".capitalize()))
    sources, targets = zip(*pairs, strict=True)
    return list(sources), list(targets)


@pytest.fixture(scope="module")
def baseline() -> DictionaryBaseline:
    return DictionaryBaseline("xx").fit(*invented(400, seed=0))


def test_every_word_of_an_invented_language_is_found(baseline) -> None:
    for source, target in {**NOUNS, **ADJECTIVES, **VERBS}.items():
        assert baseline.lookup(source)[0][0] == target
        assert baseline.lookup(source)[0][1] > 0.8
        assert baseline.phrases[source,] == (target,)
    assert baseline.phrases["ice", "cream"] == ("gelu",)
    assert baseline.phrases["red", "dog"] == ("wuf", "roki")  # the order of the other language


def test_new_sentences_of_it_are_translated_without_a_fault(baseline) -> None:
    seen = set(invented(400, seed=0)[0])
    pairs = [pair for pair in zip(*invented(200, seed=1), strict=True) if pair[0] not in seen]
    assert len(pairs) > 50
    right = sum(baseline.translate([source]) == [target] for source, target in pairs)
    assert right == len(pairs)


def test_unknown_words_are_copied_as_they_are_written(baseline) -> None:
    assert baseline.translate(["Red dog likes McGregor-Smith 3.5!"]) == ["Wuf roki amat McGregor-Smith 3.5!"]
    assert baseline.translate(["", "   "]) == ["", ""]


def test_a_word_that_never_stood_alone_takes_its_most_probable_translation() -> None:
    # "ice" and "cream" share one word, so that no phrase lets either stand alone.
    baseline = DictionaryBaseline("xx").fit(["ice cream", "ice cream", "dog"], ["gelu", "gelu", "wuf"])
    assert baseline.phrases["ice", "cream"] == ("gelu",)
    assert baseline.translate(["cream"]) == ["gelu"]


def test_the_order_of_the_pairs_and_the_run_decide_nothing(baseline) -> None:
    sources, targets = invented(400, seed=0)
    again = DictionaryBaseline("xx").fit(sources[::-1], targets[::-1])
    assert again.phrases == baseline.phrases
    assert DictionaryBaseline("xx").fit(sources, targets).likelihoods == baseline.likelihoods


def test_the_translations_of_a_word_add_up_to_one(baseline) -> None:
    for word in (*NOUNS, "ice", "."):
        found = [probability for _, probability in baseline.lookup(word, n=1000)]
        assert sum(found) == pytest.approx(1)
        assert found == sorted(found, reverse=True)
    assert len(baseline.lookup("Dog", n=2)) == 2
    assert baseline.lookup("giraffe") == []


SENTENCES = st.lists(
    st.tuples(st.lists(st.sampled_from("abcd"), max_size=5), st.lists(st.sampled_from("WXYZ"), max_size=5)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(SENTENCES)
def test_the_likelihood_never_falls_and_probabilities_add_up(pairs) -> None:
    left, right = zip(*pairs, strict=True)
    table = model_1(left, right)
    assert all(after >= before - 1e-9 for before, after in zip(table.likelihoods, table.likelihoods[1:], strict=False))
    for word in table.left:
        beside = {other for a, b in pairs if word in a for other in b}
        found = dict(table.given(word))
        assert found.keys() == beside
        assert sum(found.values()) == pytest.approx(1 if beside else 0)
    assert [len(each) for each in table.links] == [len(b) for b in right]


def test_a_word_is_known_by_what_the_others_leave() -> None:
    # "the" stands with both words, so that it explains "das", and "haus" is left for "house".
    table = model_1([["the", "house"], ["the"]], [["das", "haus"], ["das"]])
    assert table.likelihoods[0] == pytest.approx(-3 * 0.6931471805599453)  # each word 1/2 at first
    assert table.given("house")[0][0] == "haus"


def test_phrases_are_linked_to_nothing_outside() -> None:
    # The last word goes with the first, so that only the whole, and what is inside, are phrases.
    links = {(0, 0), (1, 2), (2, 1)}
    assert set(phrase_pairs(links, 3)) == {(0, 1, 0, 1), (1, 2, 2, 3), (2, 3, 1, 2), (1, 3, 1, 3), (0, 3, 0, 3)}
    assert list(phrase_pairs(set(), 3)) == []


def test_links_grow_from_what_both_directions_say() -> None:
    assert grown({(0, 0), (1, 1)}, {(0, 0), (1, 2)}) == {(0, 0), (1, 1), (1, 2)}
    assert grown({(0, 0), (9, 4)}, {(0, 0)}) == {(0, 0), (9, 4)}  # far away, but nobody else wants the two


def test_capitals_of_beginnings_are_no_part_of_a_word() -> None:
    sources = ["the dog sleeps", "we see the dog", "the dog", "Mary sleeps"]
    targets = ["Der Hund schläft", "wir sehen der Hund", "Der Hund", "Maria schläft"]
    baseline = DictionaryBaseline("de").fit(sources, targets)
    assert baseline.translate(["we see the dog", "The dog sleeps"]) == ["wir sehen der Hund", "Der Hund schläft"]


@pytest.mark.parametrize(
    ("language", "targets", "written"),
    [
        ("zh", ["打开 Home Assistant。", "打开", "Home Assistant"], "打开Home Assistant。"),
        ("zh-CN", ["打开 Home Assistant。", "打开", "Home Assistant"], "打开Home Assistant。"),
        ("fr", ["ouvrez l'assistant (vite).", "ouvrez", "l'assistant (vite)"], "ouvrez l'assistant (vite)."),
    ],
)
def test_tokens_are_joined_as_the_script_wants(language, targets, written) -> None:
    baseline = DictionaryBaseline(language).fit(["open the assistant.", "open", "the assistant"], targets)
    assert baseline.translate(["open the assistant."]) == [written]
    assert baseline._joined(["他", "说", "：", "好"]) == ("他说：好" if language != "fr" else "他 说 ： 好")


def test_a_placeholder_is_one_word() -> None:
    sources, targets = ["turn on {the name}", "turn on"], ["schalte {the name} ein", "schalte ein"]
    assert "{the name}" in DictionaryBaseline("de").fit(sources, targets).translate(["turn on {the name}"])[0]


def test_a_target_without_words_teaches_nothing() -> None:
    assert DictionaryBaseline("de").fit(["a dog", ""], ["", "ein"]).translate(["A dog"]) == ["A dog"]


@pytest.mark.parametrize(("sources", "targets"), [([], []), (["a"], []), (["a"], ["b", "c"])])
def test_what_are_no_pairs_is_refused(sources, targets) -> None:
    with pytest.raises(ValueError, match="needs a target a source"):
        DictionaryBaseline("de").fit(sources, targets)


def test_an_unfitted_baseline_says_so() -> None:
    for call in (lambda: DictionaryBaseline("de").translate(["a"]), lambda: DictionaryBaseline("de").lookup("a")):
        with pytest.raises(ValueError, match="Fit the baseline first"):
            call()

"""Attention maps: what stands on their axes and in their cells, and what is refused."""

import itertools

import matplotlib.image
import numpy as np
import pytest

from keras_llm.plots import chinese_font, fonts, plot_attention, save

pytestmark = pytest.mark.usefixtures("fonts_as_in_a_new_process")
ENGLISH, GERMAN = ["I", "love", "eating", "pizza"], ["ich", "esse", "gerne", "Pizza", "</s>"]


def softmax(*shape: int) -> np.ndarray:
    scores = np.exp(3 * np.random.default_rng(0).normal(size=shape))
    return scores / scores.sum(axis=-1, keepdims=True)


def labels(axes) -> tuple[list[str], list[str]]:
    return tuple([label.get_text() for label in each] for each in (axes.get_xticklabels(), axes.get_yticklabels()))


def test_keys_stand_on_top_queries_at_the_left_and_weights_in_the_cells(tmp_path) -> None:
    weights = softmax(4, 5)
    figure = plot_attention(weights, GERMAN, ENGLISH, title="A head", ylabel="English", xlabel="German")
    axes, bar = figure.axes
    assert labels(axes) == (GERMAN, ENGLISH)
    assert axes.xaxis.get_label_position() == "top"
    assert (axes.get_ylabel(), axes.get_xlabel(), bar.get_ylabel()) == ("English", "German", "share of attention")
    assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for value in weights.flat]
    assert (axes.get_title(), figure.get_suptitle()) == ("", "A head")
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first query on top
    assert matplotlib.image.imread(save(figure, tmp_path / "a.png")).std() > 0.01


@pytest.mark.parametrize(("shape", "written"), [((8, 8), True), ((9, 8), False), ((1, 9), False), ((2, 3, 3), False)])
def test_numbers_stand_where_they_can_be_read(shape, written) -> None:
    figure = plot_attention(softmax(*shape), range(shape[-1]), range(shape[-2]))
    assert bool(figure.axes[0].texts) is written


def test_numbers_are_light_on_dark_and_dark_on_light() -> None:
    (axes, _) = plot_attention([[0.02, 0.98]], ["a", "b"], ["c"]).axes
    assert [text.get_color() for text in axes.texts] == ["black", "white"]


def test_rows_are_shown_as_they_are() -> None:
    axes = plot_attention([[0.2, 0.2], [0.0, 0.0]], ["a", "b"], ["c", "d"]).axes[0]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[0.2, 0.2], [0.0, 0.0]]


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 8])
def test_each_head_has_a_panel_of_the_same_colours(heads, tmp_path) -> None:
    weights = softmax(heads, 4, 5)
    figure = plot_attention(weights, GERMAN, ENGLISH)
    *panels, _ = figure.axes
    assert [panel.get_title() for panel in panels] == [f"head {i}" for i in range(1, heads + 1)]
    assert {panel.images[0].get_clim() for panel in panels} == {(0, 1)}
    for panel, head in zip(panels, weights, strict=True):
        assert np.asarray(panel.images[0].get_array()) == pytest.approx(head)
    # The tokens are the same in all, so that they are named once a row and once a column.
    assert labels(panels[0]) == (GERMAN, ENGLISH)
    assert sum(bool(labels(panel)[0]) for panel in panels) == (heads if heads < 4 else 2 if heads == 4 else 4)
    save(figure, tmp_path / "heads.png")


def test_panels_have_the_names_that_they_are_given() -> None:
    *panels, _ = plot_attention(softmax(2, 4, 5), GERMAN, ENGLISH, panels=["first block", "last block"]).axes
    assert [panel.get_title() for panel in panels] == ["first block", "last block"]
    panel, _ = plot_attention(softmax(4, 5), GERMAN, ENGLISH, panels=["mean of heads"]).axes
    assert panel.get_title() == "mean of heads"


def test_texts_of_their_own_are_named_in_each_panel() -> None:
    maps = {"a date": (np.full((2, 5), 0.2), "05", "5 May"), "another": (np.eye(2), "ab", "cd")}
    figure = plot_attention(maps, ylabel="written", xlabel="read")
    first, second, _ = figure.axes
    assert labels(first) == (["5", "␣", "M", "a", "y"], ["0", "5"])  # a text is its characters, a space can be seen
    assert labels(second) == (["c", "d"], ["a", "b"])
    assert [(axes.get_title(), axes.get_ylabel(), axes.get_xlabel()) for axes in (first, second)] == [
        ("a date", "written", "read"),
        ("another", "written", "read"),
    ]


def test_long_tokens_are_turned_and_overlap_nothing(tmp_path) -> None:
    keys = [f"computergesteuerte{i}" for i in range(11)]
    figure = plot_attention(softmax(9, 11), keys, [f"a rather long query {i}" for i in range(9)])
    axes = figure.axes[0]
    assert 0 < axes.get_xticklabels()[0].get_rotation() <= 90
    assert all(len(label) <= 18 and label[-1] == key[-1] for label, key in zip(labels(axes)[0], keys, strict=True))
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(below.y1 <= above.y0 for above, below in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0
    width, height = figure.get_size_inches() * figure.dpi
    for label in axes.get_xticklabels():
        box = label.get_window_extent()
        assert box.y1 <= height and box.x1 <= width
    assert plot_attention(np.eye(3), "abc", "abc").axes[0].get_xticklabels()[0].get_rotation() == 0


def test_chinese_tokens_are_drawn_or_marked(monkeypatch, tmp_path) -> None:
    if chinese_font() is not None:
        figure = plot_attention(np.eye(2), ["喜欢", "吃"], ["love", "eat"], xlabel="中文")
        assert labels(figure.axes[0])[0] == ["喜欢", "吃"]
        save(figure, tmp_path / "zh.png")
    monkeypatch.setattr(fonts, "CHINESE_FAMILIES", ())
    chinese_font.cache_clear()
    with pytest.warns(UserWarning, match="keras-llm data fetch noto_sans_cjk"):
        figure = plot_attention(np.eye(2), ["喜欢", "吃"], ["love", "eat"])
    assert labels(figure.axes[0])[0] == ["?", "?"]
    save(figure, tmp_path / "boxes.png")  # a missing glyph would raise here


def test_half_precision_may_miss_one_by_a_hair() -> None:
    plot_attention([[1.0005, -0.0005]], ["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("weights", "keys", "queries", "options", "says"),
    [
        ({}, None, None, {}, "no attention"),
        ({"a": (np.eye(2), "ab", "abc")}, None, None, {}, r"2 and 3 tokens .* \(2, 2\)"),
        (np.eye(2), "abc", "ab", {}, r"2 and 3 tokens .* \(2, 2\)"),
        (np.zeros((2, 0)), "", "ab", {}, "2 and 0 tokens"),
        (np.eye(2), None, None, {}, "with their keys and queries"),
        (np.zeros(3), "abc", "a", {}, "with their keys and queries"),
        (softmax(2, 2, 2), "ab", "ab", {"panels": ["one"]}, "2 panels need as many different titles"),
        (softmax(2, 2, 2), "ab", "ab", {"panels": ["one", "one"]}, "2 panels need as many different titles"),
        ([[1.01, 0.0]], "ab", "a", {}, r"not every weight is in \[0, 1\]"),
        ([[-0.01, 0.5]], "ab", "a", {}, r"not every weight is in \[0, 1\]"),
        ([[np.nan, 0.5]], "ab", "a", {}, r"not every weight is in \[0, 1\]"),
    ],
)
def test_what_is_no_attention_is_refused(weights, keys, queries, options, says) -> None:
    with pytest.raises(ValueError, match=says):
        plot_attention(weights, keys, queries, **options)

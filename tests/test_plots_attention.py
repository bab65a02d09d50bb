"""Attention maps: what stands on their axes, and what is refused."""

import numpy as np
import pytest

from keras_llm.plots import plot_attention


def test_a_text_is_its_characters_and_a_space_can_be_seen() -> None:
    figure = plot_attention({"a date": (np.full((2, 5), 0.2), "05", "5 May")}, ylabel="written", xlabel="read")
    panel, bar = figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["5", "␣", "M", "a", "y"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0", "5"]
    assert (panel.get_title(), panel.get_ylabel(), panel.get_xlabel()) == ("a date", "written", "read")
    assert bar.get_ylabel() == "attention weight"


def test_panels_share_their_colours() -> None:
    maps = {f"head {i}": (np.full((2, 2), 0.1 * i), ["I", "love"], ["I", "love"]) for i in range(3)}
    *panels, _ = plot_attention(maps).axes
    assert [panel.get_title() for panel in panels] == ["head 0", "head 1", "head 2"]
    assert {panel.images[0].get_clim() for panel in panels} == {(0, 1)}


@pytest.mark.parametrize(
    ("maps", "says"), [({}, "no attention"), ({"a": (np.eye(2), "ab", "abc")}, "2 and 3 tokens .* \\(2, 2\\)")]
)
def test_what_is_no_attention_is_refused(maps, says) -> None:
    with pytest.raises(ValueError, match=says):
        plot_attention(maps)

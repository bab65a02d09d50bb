"""A run in Chinese: the catalogs are complete, and what is shown is translated while results stay as they are."""

import builtins
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from babel.messages.pofile import read_po

from keras_llm import book, languages
from keras_llm.languages import Translation, messages_of

pytest_plugins = ["tests.command_line_fixtures"]

SHOWN = Translation(
    {
        "{name}: about {2} s of training": "{name}：训练约 {2} 秒",
        "test accuracy {accuracy} (95% interval {2} to {3})": "测试准确率 {accuracy}（95% 区间 {2} 到 {3}）",
        "{1} of {2} texts": "{2} 个文本中的 {1} 个",
        "this run": "本次运行",
        "recorded": "记录值",
        "training": "训练",
        "figure": "指标",
        "LSTM, {name}": "LSTM，{name}",
        "LSTM, cleaned": "LSTM，清洗后",
        "words": "词",
        "{name}: {n} different ones; {top} texts,": "{name}：{n} 种；文本 {top} 个，",
        "{n} occur once": "{n} 只出现一次",
        "a text of {n}: {shape}, {size} numbers": "{n} 的文本：{shape}，{size} 个数",
        "case, white space": "大小写、空白",
        "cannot give back": "无法还原",
    }
)


@pytest.fixture(autouse=True)
def english_afterwards():
    yield
    languages.speak(None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("training: about 12 s of training", "训练：训练约 12 秒"),
        ("test accuracy 0.864 (95% interval 0.841 to 0.886)", "测试准确率 0.864（95% 区间 0.841 到 0.886）"),
        ("3 of 7 texts", "7 个文本中的 3 个"),
        ("\n  this run\n", "\n  本次运行\n"),
        ("a review of somebody", "a review of somebody"),
        ("0.5  0.25", "0.5  0.25"),
        ("seconds: words 0.1, case, white space", "seconds: 词 0.1, 大小写、空白"),
        ("a text of 3: (1, 3, 8), 24 numbers", "3 的文本：(1, 3, 8)，24 个数"),
        ("  3 of [0.1  0.13] texts", "  [0.1  0.13] 个文本中的 3 个"),
        ("words, sotu: 7 different ones; 3 texts, 2 occur once", "词, sotu：7 种；文本 3 个， 2 只出现一次"),
        ("[words 4] case, white space: words", "[词 4] case, white space: words"),
        ("  LSTM, cleaned: 3.3", "  LSTM，清洗后: 3.3"),
        (" words      1.00  case, white space", "    词      1.00       大小写、空白"),
        ("   figure  words  cannot give back", "     指标     词          无法还原"),
        ("", ""),
    ],
)
def test_a_line_is_shown_in_the_other_language(text, shown) -> None:
    assert SHOWN.text(text) == shown


def test_a_long_line_takes_no_longer_than_it_is_long() -> None:
    """Tokens with bars between them, as chapter 2 prints them, look like the beginning of many messages."""
    shown = Translation({"{a} | {b} | {c} | {d} | {e}: {f} of {g}": "{g} 个中有 {f} 个：{a}{b}{c}{d}{e}"})
    line = " | ".join("the tokens of a sentence" * 40)
    start = time.perf_counter()
    assert shown.text(line) == line
    assert time.perf_counter() - start < 1
    assert shown.text("un | be | l | i | ev: 3 of seven") == "seven 个中有 3 个：unbeliev"


def test_the_columns_of_a_table_stay_where_they_were() -> None:
    lines = [f"{'figure':<20}{'this run':>10}{'recorded':>10}", f"{'training':<20}{0.5:>10}{0.25:>10}"]
    shown = [SHOWN.line(line) for line in lines]
    assert "本次运行" in shown[0] and [languages.width(line) for line in shown] == [40, 40]
    for line, before, word in zip(shown, lines, ("记录值", "0.25"), strict=True):
        assert line.endswith(word) and languages.width(line) == len(before)


def test_messages_are_what_a_lesson_shows() -> None:
    source = '''"""A docstring."""
run.record(test_accuracy_of_it="no message")
print(f"after {n} steps the loss is {history.loss:.3f}\\nand falls")
print("name        seconds")
names = {"as it is": 3, "snake_case": "file.png", f"{n} of {m}": 0}
raise InputError("wrong input")
'''
    shown = {"as it is", "after {n} steps the loss is {loss}", "and falls", "name", "seconds"}
    assert set(messages_of(source)) == shown and len(messages_of(source)) == len(shown)


@pytest.mark.parametrize("name", [*book.chapters(), "library"])
def test_the_catalogs_are_complete(name) -> None:
    path = languages.catalogs(next(iter(book.chapters())))[0].with_name(f"{name}.po")
    with path.open("rb") as file:
        known = {each.id: each for each in read_po(file) if each.id}
    sources = [source.read_text(encoding="utf-8") for source in languages.sources(name)]
    assert set(known) == {message for source in sources for message in messages_of(source)}
    for message, each in known.items():
        assert each.string and not each.fuzzy, message
        places = languages.PLACE.findall(message)
        assert sorted(places) == sorted(set(languages.PLACE.findall(each.string))), each.string


def test_every_word_of_a_figure_is_translated() -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], label="training")
    axes.set_title("training: about 3 s of training")
    axes.set_xticks([0, 1], ["figure", "2014"])
    axes.legend()
    languages.translate_figure(figure, SHOWN)
    assert axes.get_title() == "训练：训练约 3 秒" and axes.get_legend().get_texts()[0].get_text() == "训练"
    assert [each.get_text() for each in axes.get_xticklabels()] == ["指标", "2014"]
    plt.close(figure)


def test_print_speaks_until_it_is_told_otherwise(capsys) -> None:
    languages.speak(SHOWN)
    print("this run", 3, np.float32(0.5), "a/b/training", sep="|", end="!\n")
    languages.speak(None)
    print("this run")
    assert capsys.readouterr().out == "本次运行|3|0.5|a/b/training!\nthis run\n"
    assert builtins.print is languages._print


def test_an_unknown_language_is_named(cli) -> None:
    answer = cli("run", "ch01_neural_network", "--language", "fr")
    assert answer.code == 2 and "fr" in answer.err and "zh" in answer.err
    assert answer.out == ""

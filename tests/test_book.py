"""The web book: every page is built without a warning, shows what was recorded, and asks nothing of the network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from keras_llm import book, pages

ROOT = Path(__file__).parent.parent
CHAPTERS = list(book.chapters())


class Links(HTMLParser):
    """The pictures of a page with their texts, and all that it loads or leads to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.pictures: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes) -> None:
        found = dict(attributes)
        if tag == "img":
            self.pictures.append((found["src"], found.get("alt") or ""))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("img", "script", "link", "iframe"):
            self.loads += filter(None, (found.get("src"), found.get("href")))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("book")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "chapters",
        str(target / "html"),
    ]
    result = subprocess.run([*command, "-d", str(target / "trees")], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return target / "html"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_shows_each_recorded_figure(built, chapter) -> None:
    pictures = {Path(source).name: text for source, text in Links(built / chapter / "lesson.html").pictures}
    recorded = {path.name for path in (book.chapters()[chapter] / "recorded").glob("*.png")}
    names = {re.sub(r"\d+(?=\.png$)", "", name) for name in pictures}  # Sphinx numbers files of one name
    assert names == recorded and set(pages.captions(chapter)) == {Path(name).stem for name in recorded}
    assert all(len(text) > 20 for text in pictures.values())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_tells_the_recorded_numbers(built, chapter) -> None:
    page = (built / chapter / "lesson.html").read_text(encoding="utf-8")
    record = book.record_of(book.chapters()[chapter])
    for name, each in record["figures"].items():
        assert name in page and f"{each['value']:.4g}" in page
    assert record["machine"]["processor"] in page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_behind_a_fold(built, chapter) -> None:
    page = (built / chapter / "solutions.html").read_text(encoding="utf-8")
    source = (book.chapters()[chapter] / "solutions.py").read_text(encoding="utf-8")
    assert page.count("<details") == source.count("# BEGIN SOLUTION") and "BEGIN SOLUTION" not in page


def test_nothing_is_asked_of_the_network_and_no_link_is_dead(built) -> None:
    found = sorted(built.rglob("*.html"))
    assert len(found) >= 2 * len(CHAPTERS) + 3
    for page in found:
        links = Links(page)
        assert not [each for each in links.loads if re.match(r"(https?:)?//", each)], page
        for each in links.links + links.loads:
            path = each.split("#")[0].split("?")[0]
            if path and not re.match(r"[a-z]+:", path):
                assert (page.parent / path).exists(), f"{page}: {each}"


def test_figures_in_running_text_are_the_recorded_ones(built) -> None:
    page = (built / "documents.html").read_text(encoding="utf-8")
    assert "{{" not in page
    for chapter, name in (("ch03_lstm_classifier", "test_accuracy_document"), ("ch07_finetuning", "test_accuracy")):
        assert f"{book.record_of(book.chapters()[chapter])['figures'][name]['value']:.3f}" in page
    assert (pages.shown(0.8575), pages.shown(51.47), pages.shown(452.0)) == ("0.858", "51.5", "452")

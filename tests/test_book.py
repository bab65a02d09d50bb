"""The web book: every page is built without a warning, shows what was recorded, and asks nothing of the network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from keras_llm import book, pages
from keras_llm.printed import printed_of

pytest_plugins = ["tests.command_line_fixtures"]

ROOT = Path(__file__).parent.parent
CHAPTERS = list(book.chapters())
CATALOGS = ROOT / "chapters" / "locale" / "zh_CN" / "LC_MESSAGES"
THEME = "sphinx"  # a catalog of what Furo says on each page, where Sphinx's own has no Chinese
CHINESE = re.compile("[\u4e00-\u9fff]")
KEPT = re.compile(r"``.+?``|`[^`]+`|\{\{[^}]*\}\}|\$[^$]+\$|\]\([^)]*\)")  # code, recorded numbers, mathematics, links


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
def built(once) -> Path:
    """The book in both languages, built once for all tests of it."""

    def build(target: Path) -> None:
        command = [sys.executable, "-m", "keras_llm", "book", "--to", str(target)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert (result.stderr, str(target / "index.html") in result.stdout) == ("", True)

    return once("book", build)


@pytest.mark.parametrize("language", ["", "zh"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_shows_each_recorded_figure(built, chapter, language) -> None:
    page = built / language / chapter / "lesson.html"
    pictures = {Path(source).name: text for source, text in Links(page).pictures}
    recorded = {path.name for path in (book.chapters()[chapter] / "recorded").glob("*.png")}
    names = {re.sub(r"\d+(?=\.png$)", "", name) for name in pictures}  # Sphinx numbers files of one name
    assert names == recorded and set(pages.captions(chapter)) == {Path(name).stem for name in recorded}
    assert all(len(text) > (8 if language else 20) for text in pictures.values())
    assert all(bool(CHINESE.search(text)) == bool(language) for text in pictures.values())


@pytest.mark.parametrize("language", ["", "zh"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_tells_the_recorded_numbers(built, chapter, language) -> None:
    page = (built / language / chapter / "lesson.html").read_text(encoding="utf-8")
    record = book.record_of(book.chapters()[chapter])
    for name, each in record["figures"].items():
        assert name in page and f"{each['value']:.4g}" in page
    assert record["machine"]["processor"] in page and "{{" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("language", ["", "zh"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_shows_what_its_cells_printed(built, chapter, language) -> None:
    page = (built / language / chapter / "lesson.html").read_text(encoding="utf-8")
    known = printed_of(book.chapters()[chapter])
    if known is None:
        pytest.skip("no run of this lesson is recorded with what it prints")
    assert known["lesson"] == book.code_digest(book.chapters()[chapter]), "the lesson's code has changed: record it"
    notebook = pages.read((book.chapters()[chapter] / "lesson.py").read_text("utf-8"), "zh_CN" if language else "en")
    outputs = [cell.outputs[0].text for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert 0 < len(outputs) <= len(known["cells"]) and page.count('class="output') >= len(outputs)
    words = [[text.split() for text in texts] for texts in (outputs, known["cells"].values())]
    assert language or all(output in words[1] for output in words[0])
    assert bool(CHINESE.search(outputs[0])) == bool(language)


def test_a_long_printed_line_is_wrapped_and_a_table_is_not() -> None:
    table = "name" + " " * 110 + "0.5"
    assert pages.wrapped(f"  word{' word' * 30}\n{table}\n").split("\n") == [
        "  word" + " word" * 18,
        " ".join(["word"] * 12),
        table,
        "",
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_are_behind_a_fold(built, chapter) -> None:
    page = (built / chapter / "solutions.html").read_text(encoding="utf-8")
    source = (book.chapters()[chapter] / "solutions.py").read_text(encoding="utf-8")
    assert page.count("<details") == source.count("# BEGIN SOLUTION") and "BEGIN SOLUTION" not in page


def test_an_exercise_shows_what_is_given_and_its_solution_is_whole() -> None:
    notebook = pages.read((book.chapters()["ch07_finetuning"] / "solutions.py").read_text(encoding="utf-8"))
    (number,) = (number for number, cell in enumerate(notebook.cells) if "def lora(" in cell.source)
    asked, answer = (cell.source for cell in notebook.cells[number : number + 2])
    assert "    ...  # yours: the correction, with its factor\n    return x @ kernel" in asked
    assert "\ncorrection = alpha / a.shape[1] * (a @ b)\nreturn x @ kernel" in answer
    assert "..." not in notebook.cells[number + 2].source.split("```")[1]  # nothing is given there


def test_nothing_is_asked_of_the_network_and_no_link_is_dead(built) -> None:
    found = sorted(built.rglob("*.html"))
    assert len(found) >= 2 * (2 * len(CHAPTERS) + 3)
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


@pytest.fixture(scope="module")
def messages(tmp_path_factory) -> dict[str, set[str]]:
    """What Sphinx finds to translate, by catalog."""
    target = tmp_path_factory.mktemp("messages")
    command = ["-q", "-b", "gettext", "-d", str(target / "trees"), "chapters", str(target)]
    subprocess.run([sys.executable, "-m", "sphinx", *command], cwd=ROOT, check=True)
    return {path.stem: {each.id for each in catalog(path)} for path in target.glob("*.pot")}


def catalog(path: Path) -> list:
    with path.open("rb") as file:
        return [each for each in read_po(file, ignore_obsolete=False) if each.id]


def test_there_is_a_catalog_for_each_page_and_no_other(messages) -> None:
    assert {path.stem for path in CATALOGS.glob("*.po")} == messages.keys() | {THEME}


@pytest.mark.parametrize("name", sorted({path.stem for path in CATALOGS.glob("*.po")} - {THEME}))
def test_the_chinese_book_is_complete(messages, name) -> None:
    with (CATALOGS / f"{name}.po").open("rb") as file:
        known = read_po(file)
    assert {each.id for each in known if each.id} == messages[name] and not known.obsolete
    for each in known:
        assert each.string and not each.fuzzy, each.id
        assert not each.id or set(KEPT.findall(each.id)) == set(KEPT.findall(each.string)), each.string
        if len(each.id) > 60 and "\\" not in each.id and name != "glossary":  # a formula is the same in Chinese
            assert CHINESE.search(each.string), each.id


def test_what_the_theme_says_is_chinese(built) -> None:
    text = "".join(
        (built / "zh" / page).read_text("utf-8") for page in ("index.html", "ch01_neural_network/lesson.html")
    )
    shown = re.findall(r">\s*([^<>]+?)\s*<", text)
    for each in catalog(CATALOGS / f"{THEME}.po"):
        assert each.id.strip() not in shown and each.string in text, each.id


@pytest.mark.parametrize("page", ["index", "documents", "ch04_attention/lesson", "ch01_neural_network/solutions"])
def test_the_switch_leads_to_the_same_page(built, page) -> None:
    for here, there, word in (("", "zh", "中文"), ("zh", "", "English")):
        text = (built / here / f"{page}.html").read_text(encoding="utf-8")
        link = re.search(rf'<a href="([^"]+)"[^>]*hreflang="[a-z]+">{word}</a>', text)[1]
        assert (built / here / page).parent.joinpath(link).resolve() == (built / there / f"{page}.html").resolve()
    assert '<html class="no-js" lang="zh-CN"' in (built / "zh" / f"{page}.html").read_text(encoding="utf-8")


def test_headings_of_the_chinese_pages_are_chinese(built) -> None:
    """A translation that begins as a list does ("3. …" instead of "3\\. …") is dropped by Sphinx without a word."""
    for page in sorted((built / "zh").rglob("*.html")):
        for heading in re.findall(r"<h[1-4]>(.*?)<a ", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            assert CHINESE.search(heading) or "“" in heading or not re.search("[a-z]{3,} [a-z]{2,}", heading), page


def test_markdown_is_no_text_of_the_chinese_pages(built) -> None:
    """Stars beside Chinese punctuation are no emphasis in Markdown: a translation that ran into that shows them."""
    for page in sorted((built / "zh").rglob("*.html")):
        text = re.sub(r"<(pre|code|script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        article = text[text.index("<article") : text.index("</article>")] if "<article" in text else ""
        assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]\*\*|\*\*[\u3000-\u9fff\uff00-\uffef]|`", article), page


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_documents_lead_to_a_chapter_and_back(built, chapter) -> None:
    links = Links(built / chapter / "lesson.html").links
    back = {link.split("#")[1] for link in links if link.startswith("../documents.html#d")}
    table = (ROOT / "chapters" / "documents.md").read_text(encoding="utf-8")
    sections = re.split(r"^\((d\d)\)=$", table, flags=re.MULTILINE)[1:]
    told = {name for name, text in zip(sections[::2], sections[1::2], strict=True) if f"({chapter}/lesson)" in text}
    assert back == told and told


def test_charts_are_drawn_with_their_words(built) -> None:
    for chapter, word, chinese in (
        ("ch01_neural_network", "forward pass", "前向传播"),
        ("ch05_transformer", "queries", "查询"),
    ):
        for language, label in (("", word), ("zh", chinese)):
            page = (built / language / chapter / "lesson.html").read_text(encoding="utf-8")
            chart = page[page.index('<figure class="chart"') :]
            assert label in chart[: chart.index("</figure>")] and "accDescr" not in page
            about = re.match(r'<figure class="chart" role="img" aria-label="([^"]+)"', chart)[1]
            assert bool(CHINESE.search(about)) == bool(language)

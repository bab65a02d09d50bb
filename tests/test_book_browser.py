"""The web book in a real browser: each page loads, shows its pictures, is found by search, and fits narrow screens."""

import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_book import built  # noqa: F401

pytest_plugins = ["tests.command_line_fixtures"]
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def address(built) -> Iterator[str]:  # noqa: F811
    handler = functools.partial(Quiet, directory=str(built))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def names(built) -> list[str]:  # noqa: F811
    return sorted(str(path.relative_to(built)) for path in Path(built).rglob("*.html"))


QUICK = (("", 360, "dark"), ("zh", 1280, "light"))  # each page and each look once; all of them together are slow
LOOKS = [(language, width, scheme) for language in ("", "zh") for width in (360, 1280) for scheme in ("dark", "light")]


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [*QUICK, *(pytest.param(*look, marks=pytest.mark.slow) for look in LOOKS if look not in QUICK)],
)
def test_every_page_loads_and_fits(address, browser, names, language, width, scheme) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else wrong.append(request.url))
    page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
    for name in names:
        if name.startswith("zh/") != bool(language):
            continue
        page.goto(f"{address}/{name}")
        for picture in page.locator("article img").all():
            picture.scroll_into_view_if_needed()
            assert picture.evaluate("each => each.decode().then(() => each.naturalWidth)") > 100, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness = [int(number) for number in re.findall(r"\d+", color)[:3]]
        assert (max(lightness) < 100) == (scheme == "dark"), name
        assert wrong == [], name
    context.close()


@pytest.mark.parametrize(("language", "word", "found"), [("", "attention", "Attention"), ("zh/", "注意力", "注意力")])
def test_search_finds_attention(address, browser, language, word, found) -> None:
    page = browser.new_page()
    page.goto(f"{address}/{language}search.html?q={word}")
    page.wait_for_selector("#search-results li a")
    assert any(found in title for title in page.locator("#search-results li a").all_inner_texts())
    page.close()


def test_mathematics_is_typeset(address, browser) -> None:
    page = browser.new_page()
    for name in ("ch04_attention/lesson.html", "zh/ch04_attention/lesson.html"):
        page.goto(f"{address}/{name}")
        page.wait_for_selector("mjx-container")
        sources = page.locator("div.math").count()
        assert page.locator("div.math mjx-container").count() == sources > 1
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    page.close()


def test_the_language_switch_stays_on_the_page(address, browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/ch05_transformer/lesson.html")
    page.click("text=中文")
    page.wait_for_url("**/zh/ch05_transformer/lesson.html")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.click("text=English")
    page.wait_for_url(f"{address}/ch05_transformer/lesson.html")
    page.close()


def test_paper_has_no_navigation(address, browser) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 1000})
    page.goto(f"{address}/ch03_lstm_classifier/lesson.html")
    page.emulate_media(media="print")
    assert not page.locator(".sidebar-drawer").is_visible() and page.locator("article h1").is_visible()
    code = page.locator("article pre").all()
    assert all(each.evaluate("each => each.scrollWidth <= each.clientWidth + 1") for each in code)
    page.close()


@pytest.mark.parametrize("some", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_pages_are_accessible(some, address, browser, names) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page()
    few = [
        "index.html",
        "ch04_attention/solutions.html",
        "ch08_generation/lesson.html",
        "zh/ch01_neural_network/lesson.html",
    ]
    for name in few if some else names:
        page.goto(f"{address}/{name}")
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == [], name
    page.close()

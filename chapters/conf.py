"""The web book, from the lessons themselves, in English and Chinese: ``keras-llm book`` (see the README)."""

import logging
import re

from docutils import nodes
from sphinx.search.zh import SearchChinese
from sphinx.transforms import SphinxTransform

from keras_llm.pages import recorded_figures

project = "keras_llm"
author = "The keras_llm developers"
language = "en"  # -D language=zh_CN for the Chinese book, which `keras-llm book` puts into the folder zh of this one
TITLES = {"en": "How large language models are trained", "zh_CN": "大语言模型是怎样训练出来的"}
html_title = TITLES["en"]

extensions = ["myst_nb", "sphinx-mathjax-offline", "keras_llm.charts"]
nb_custom_formats = {".py": "keras_llm.pages.read"}  # in the book's language: see below
nb_execution_mode = "off"  # pages show the recorded run
myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_substitutions = recorded_figures()  # in the running text: {{ ch03.test_accuracy }}
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
exclude_patterns = ["conf.py", "__init__.py", "**/__init__.py", "**/__main__.py", "**/checks.py", "**/exercises.py"]
suppress_warnings = ["mystnb.unknown_mime_type"]

locale_dirs = ["locale"]
gettext_location = False  # a line that moves is no news for a translator
gettext_uuid = False

html_theme = "furo"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["book.css"]
html_use_index = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_favicon = "_static/favicon.svg"
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "language.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}


PICTURE = re.compile(r'(<img [^>]*src="([^"]+\.png)"[^>]*>)')


class Search(SearchChinese):
    """Chinese search, whose own page asks for a stemmer that there is not: its Latin words take the English one."""

    lang = "zh_CN"
    language_name = "English"


class NothingToTranslate(SphinxTransform):
    """Names in code, shapes and numbers are the same in each language: no message for a translator."""

    default_priority = 5  # before Sphinx collects the messages

    def apply(self, **_) -> None:
        for node in self.document.findall(nodes.paragraph):
            words = (
                text for text in node.findall(nodes.Text) if not isinstance(text.parent, nodes.literal | nodes.math)
            )
            if not re.search(r"[^\W\d_]{2}", " ".join(words)):
                node["translatable"] = False


def complete(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Where this page is in the other language; and headings and code as screen readers and keyboards want them."""
    chinese = app.config.language == "zh_CN"
    context["chinese"] = chinese
    context["other_language"] = context["content_root"] + ("../" if chinese else "zh/") + f"{pagename}.html"
    for name in ("furo_navigation_tree", "body"):
        if isinstance(context.get(name), str):
            context[name] = context[name].replace('role="heading">', 'role="heading" aria-level="2">')
            context[name] = context[name].replace("<pre>", '<pre tabindex="0">')
            context[name] = PICTURE.sub(r'<a href="\2">\1</a>', context[name])  # in its full size


def in_this_language(app, config) -> None:
    config.html_title = TITLES[config.language]
    config.nb_custom_formats = {".py": ["keras_llm.pages.read", {"language": config.language}]}
    if config.language == "zh_CN":
        import jieba  # cuts the words for the search, and would tell of each step

        jieba.setLogLevel(logging.WARNING)


def setup(app) -> None:
    app.add_search_language(Search)
    app.add_transform(NothingToTranslate)
    app.connect("config-inited", in_this_language, priority=1)
    app.connect("html-page-context", complete, priority=900)  # after the theme has made its tree

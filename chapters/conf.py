"""The web book, from the lessons themselves: sphinx-build chapters build/book (see the README)."""

from keras_llm.pages import recorded_figures

project = "keras_llm"
author = "The keras_llm developers"
html_title = "How large language models are trained"
language = "en"

extensions = ["myst_nb", "sphinx-mathjax-offline"]
nb_custom_formats = {".py": "keras_llm.pages.read"}
nb_execution_mode = "off"  # pages show the recorded run
myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_substitutions = recorded_figures()  # in the running text: {{ ch03.test_accuracy }}
myst_heading_anchors = 3
exclude_patterns = ["conf.py", "__init__.py", "**/__init__.py", "**/__main__.py", "**/checks.py", "**/exercises.py"]
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_sourcelink = False
html_copy_source = False
html_favicon = "_static/favicon.svg"


def help_screen_readers(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Say of which level the navigation's headings are, and let the keyboard reach code that is too wide."""
    for name in ("furo_navigation_tree", "body"):
        if isinstance(context.get(name), str):
            context[name] = context[name].replace('role="heading">', 'role="heading" aria-level="2">')
            context[name] = context[name].replace("<pre>", '<pre tabindex="0">')


def setup(app) -> None:
    app.connect("html-page-context", help_screen_readers, priority=900)  # after the theme has made its tree

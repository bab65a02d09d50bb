"""Flow charts of the book: Mermaid's language drawn into the page while it is built, with no network.

A lesson has them as Jupyter and GitHub have them, in a fence of the kind ``mermaid``. Each needs a line
``accDescr: …``, which says to those who do not see the chart what it shows; labels stand in quotes. Both are messages
that the Chinese catalogs translate.
"""

import html
import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

from keras_llm.languages import width

LABEL = re.compile(r'"([^"]+)"')
ABOUT = re.compile(r"accDescr: *(.+)")


class Chart(nodes.General, nodes.Element, addnodes.translatable):
    """A chart in Mermaid's language, as its attribute ``drawing``."""

    def extract_original_messages(self) -> list[str]:
        return ABOUT.findall(self["drawing"]) + LABEL.findall(self["drawing"])

    def preserve_original_messages(self) -> None:
        """Nothing to keep: each message is looked for by its own text."""

    def apply_translated_message(self, original_message: str, translated_message: str) -> None:
        for before, after in (('"', '"'), ("accDescr: ", "")):
            self["drawing"] = self["drawing"].replace(
                f"{before}{original_message}{after}", f"{before}{translated_message}{after}"
            )


class Mermaid(SphinxDirective):
    """The content of a fence of the kind ``mermaid``."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        node = Chart(drawing="\n".join(self.content))
        if not ABOUT.search(node["drawing"]):
            raise self.error("A chart needs a line 'accDescr: …' that says what it shows.")
        self.set_source_info(node)
        return [node]


def draw(translator, node: Chart) -> None:
    """The chart as SVG inside the page, which the page's style gives its colours."""
    import mermaidx

    about = html.escape(ABOUT.search(node["drawing"])[1])
    drawing, labels = ABOUT.sub("", node["drawing"]), {}
    for number, label in enumerate(dict.fromkeys(LABEL.findall(drawing))):
        if width(label) > len(label):  # Mermaid measures Chinese as narrow: a word of that width stands in for it
            word = chr(ord("a") + number) + "n" * (width(label) - 1)
            labels[word], drawing = label, drawing.replace(f'"{label}"', f'"{word}"')
    svg = mermaidx.render(drawing).svg()
    for word, label in labels.items():
        svg = svg.replace(f">{word}<", f">{html.escape(label)}<")
    svg = svg.replace("my-svg", f"chart-{translator.builder.env.new_serialno('chart')}")
    svg = re.sub(r' role="[^"]*"| aria-roledescription="[^"]*"', "", svg, count=2)
    translator.body.append(f'<figure class="chart" role="img" aria-label="{about}">{svg}</figure>\n')
    raise nodes.SkipNode


def setup(app) -> dict[str, bool]:
    app.add_node(Chart, html=(draw, None))
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

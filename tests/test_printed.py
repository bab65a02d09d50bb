"""What the cells of a lesson print, cell by cell."""

import contextlib
import io

from keras_llm.printed import Printed

LESSON = """# %% [markdown]
# # A lesson

# %%
def told(text):
    print(text)

told("first")

# %% [markdown]
# Nothing here.

# %%
print("10%\\r20%  \\rdone ", end="")
print(
    "over",
    "lines",
)

# %%
quiet = 1

# %%
told("last")
"""


def test_each_cell_has_what_it_printed(tmp_path) -> None:
    lesson, out = tmp_path / "lesson.py", io.StringIO()
    lesson.write_text(LESSON, encoding="utf-8")
    printed = Printed(out, lesson)
    with contextlib.redirect_stdout(printed):
        exec(compile(LESSON, str(lesson), "exec"), {})
    assert printed.cells() == {"0": "first", "1": "done over lines", "3": "last"}
    assert out.getvalue() == "first\n10%\r20%  \rdone over lines\nlast\n" and not printed.isatty()

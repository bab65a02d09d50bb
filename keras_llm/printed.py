"""What the cells of a lesson print, for the pages of the book."""

import json
import sys
from bisect import bisect
from pathlib import Path
from typing import Any, TextIO

FILE = "printed.json"  # of a run; a chapter's recorded one lies beside its figures
MARK = "# %%"


class Printed:
    """Standard output that also keeps, for each text, the line of the lesson that it comes from.

    Args:
        out: where the text goes.
        lesson: path of the ``lesson.py`` that runs.
    """

    def __init__(self, out: TextIO, lesson: Path) -> None:
        self.out, self.lesson = out, lesson
        self.pieces: list[tuple[int, str]] = []
        self.line = 0

    def write(self, text: str) -> int:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "<module>" and frame.f_code.co_filename == str(self.lesson):
                self.line = frame.f_lineno
                break
            frame = frame.f_back
        self.pieces.append((self.line, text))  # a thread has no line of its own: the last one
        return self.out.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.out, name)

    def cells(self) -> dict[str, str]:
        """What each code cell printed, by its number among them, from 0; of a line that was written over, the end."""
        lines = self.lesson.read_text(encoding="utf-8").splitlines()
        begins = [number for number, line in enumerate(lines, 1) if line.rstrip() == MARK]
        texts: dict[int, str] = {}
        for line, text in self.pieces:
            cell = max(bisect(begins, line) - 1, 0)
            texts[cell] = texts.get(cell, "") + text
        ends = {cell: [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")] for cell, text in texts.items()}
        return {str(cell): "\n".join(lines).strip("\n") for cell, lines in sorted(ends.items()) if any(lines)}


def printed_of(folder: Path) -> dict[str, Any] | None:
    """What a recorded run of a chapter printed: its ``preset``, ``seed``, ``lesson``, ``versions``, ``machine`` and
    ``cells``. None when no such run is recorded."""
    path = folder / "recorded" / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

"""Dialogues: a list of turns each, in three parts that share no opening."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from keras_llm.data.splits import fingerprints
from keras_llm.errors import InputError

VALIDATION_FRACTION = TEST_FRACTION = 0.1  # of the distinct openings
LEAST = 10  # distinct openings
MOST_CHARACTERS = 300  # of a turn: a longer one is a listing or an essay, and no reply

Dialogue = tuple[str, ...]


@dataclass(frozen=True)
class DialogueData:
    """Dialogues whose train, validation and test parts share no opening.

    Attributes:
        name: of the dataset.
        language: ``"en"`` or ``"zh"``.
        train, validation, test: dialogues, each a tuple of two or more turns, the first of them the user's.
        provenance: where they are from and what was dropped; ``["warnings"]`` is a list of sentences.
    """

    name: str
    language: str
    train: tuple[Dialogue, ...]
    validation: tuple[Dialogue, ...]
    test: tuple[Dialogue, ...]
    provenance: dict = field(default_factory=dict)

    def take(
        self, *, train: int | None = None, validation: int | None = None, test: int | None = None
    ) -> "DialogueData":
        """The first dialogues of each part; None leaves a part whole. They stand in no particular order."""
        parts = {"train": self.train[:train], "validation": self.validation[:validation], "test": self.test[:test]}
        return replace(self, **parts, provenance=self.provenance | {"taken": {n: len(p) for n, p in parts.items()}})

    def summary(self) -> str:
        """Dialogues and turns of each part, as a small table of plain text."""
        lines = [f"{self.name} ({self.language})", f"{'':10}{'dialogues':>12}{'turns':>8}"]
        for name in ("train", "validation", "test"):
            part = getattr(self, name)
            lines.append(f"{name:10}{len(part):>12,}{sum(map(len, part)):>8,}")
        return "\n".join(lines)


def dialogues_of(
    name: str,
    language: str,
    found: Iterable[Dialogue],
    provenance: dict,
    *,
    seed: int = 0,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
) -> DialogueData:
    """Clean and split dialogues. Openings are compared by letters and digits alone; equal dialogues count once.

    Args:
        name, language, provenance: see :class:`DialogueData`.
        found: dialogues in the order of the file. One is cut before a turn that is empty or long; what has no reply
            then is left out.
        seed: of the split.
        validation_fraction, test_fraction: shares of the distinct openings, in [0, 1); 0.1 each by default.

    Raises:
        InputError: a fraction is out of range, or there are too few openings.
    """
    fractions = [
        VALIDATION_FRACTION if validation_fraction is None else validation_fraction,
        TEST_FRACTION if test_fraction is None else test_fraction,
    ]
    if any(not 0 <= share < 1 for share in fractions) or sum(fractions) >= 1:
        raise InputError(
            "validation_fraction and test_fraction must lie in [0, 1) and leave something to train on, "
            f"got {', '.join(map(str, fractions))}."
        )
    dialogues, rows, without_reply = {}, 0, 0
    for turns in found:
        rows += 1
        kept = []
        for turn in turns:
            turn = " ".join(turn.split())
            if not turn or len(turn) > MOST_CHARACTERS:
                break
            kept.append(turn)
        if len(kept) < 2:
            without_reply += 1
        else:
            dialogues.setdefault(tuple(fingerprints(kept, 0)[0]), tuple(kept))
    whole = list(dialogues.values())
    identities, places = fingerprints([turns[0] for turns in whole], seed)
    order = sorted(dict(zip(identities, places, strict=True)).items(), key=lambda pair: pair[1])
    if len(order) < LEAST:
        raise InputError(f"{name}: {len(order)} distinct opening(s) are too few to be split; bring {LEAST} or more.")
    ends = [round(len(order) * share) for share in fractions]
    part_of = {identity: 0 for identity, _ in order[: ends[0]]}
    part_of |= {identity: 1 for identity, _ in order[ends[0] : sum(ends)]}
    parts: list[list[tuple[bytes, Dialogue]]] = [[], [], []]
    for identity, place, turns in zip(identities, places, whole, strict=True):
        parts[part_of.get(identity, 2)].append((place, turns))
    validation, test, train = (tuple(turns for _, turns in sorted(part)) for part in parts)
    facts = {
        "rows": len(whole),
        "dropped_without_reply": without_reply,
        "dropped_duplicates": rows - without_reply - len(whole),
        "split": {"seed": seed, "validation": fractions[0], "test": fractions[1]},
        "warnings": [],
    }
    return DialogueData(name, language, train, validation, test, provenance | facts)

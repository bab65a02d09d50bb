"""Questions and replies: the template that tells them apart, the examples that teach it, and a conversation.

A turn of the user stands between ``<s>`` and ``</s>``, the reply behind it up to the next ``</s>``::

    <s> what is your name </s> I have none. </s> <s> who are you </s> A small language model. </s>

Both are ids of the tokenizer that no text encodes to, so that nothing a user types can end a turn.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_llm.data import pad_sequences_to
from keras_llm.errors import InputError
from keras_llm.generation import Sampling
from keras_llm.language_model import LanguageModel
from keras_llm.text import SubwordTokenizer

ROOM = 0.5  # of the context that a conversation may fill; the rest is for the reply


def dialogue_ids(tokenizer: SubwordTokenizer, turns: Sequence[str]) -> tuple[list[int], list[bool]]:
    """A dialogue in the template.

    Args:
        tokenizer: has a start and an end token.
        turns: of the user, the reply, of the user …, in turn.

    Returns:
        The ids, and for each whether it belongs to a reply, its end token included: what the model learns to write.

    Example:
        >>> tokenizer = SubwordTokenizer.train(["a b"], vocabulary_size=259)
        >>> ids, learned = dialogue_ids(tokenizer, ["a", "b"])
        >>> [ids.index(1), ids.count(2), sum(learned)]
        [0, 2, 2]
    """
    ids: list[int] = []
    learned: list[bool] = []
    for number, tokens in enumerate(tokenizer.encode_all(list(turns))):
        is_reply = number % 2 == 1
        turn = [*([] if is_reply else [tokenizer.start_id]), *tokens, tokenizer.end_id]
        ids += turn
        learned += [is_reply] * len(turn)
    return ids, learned


def chat_examples(
    tokenizer: SubwordTokenizer,
    dialogues: Sequence[Sequence[str]],
    context_length: int,
    *,
    rounds: int = 1,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Dialogues as rows for supervised fine-tuning: a loss on the replies alone.

    A row holds as many dialogues as fit, one behind the other: most are short, and a row for each would be padding.
    Each sees those before it in its row, so a training takes them in many orders: no reply should hang on a neighbour.

    Args:
        tokenizer: see :func:`dialogue_ids`.
        dialogues: each a list of turns.
        context_length: T; a longer dialogue loses its beginning.
        rounds: times that each dialogue is taken, first in the order given, then shuffled.
        seed: of the orders.

    Returns:
        Inputs and labels, int32 ``(rows, T)``, padded with 0 at the end; a label that is no part of a reply is 0 and
        must not count (``SparseCrossentropy(ignore_class=0)``).

    Source: Ouyang et al. 2022, section 3 (supervised fine-tuning); document D2 (the loss of fine-tuning, whose minus
    sign is missing there).
    """
    encoded = [dialogue_ids(tokenizer, turns) for turns in dialogues]
    random = np.random.default_rng(seed)
    orders = [np.arange(len(encoded)), *(random.permutation(len(encoded)) for _ in range(rounds - 1))]
    rows: list[list[int]] = [[]]
    answers: list[list[int]] = [[]]
    for number in np.concatenate(orders):
        ids, learned = (values[-context_length - 1 :] for values in encoded[number])
        if len(rows[-1]) + len(ids) > context_length + 1:
            rows.append([])
            answers.append([])
        rows[-1] += ids
        answers[-1] += [i if is_reply else 0 for i, is_reply in zip(ids, learned, strict=True)]
    inputs, labels = [row[:-1] for row in rows], [row[1:] for row in answers]
    return pad_sequences_to(inputs, context_length), pad_sequences_to(labels, context_length)


class Conversation:
    """A dialogue with a language model that has learned the template.

    Args:
        language_model: its ``chats`` is True.
        sampling: how tokens are chosen.
        seed: of the draws; the n-th reply draws with seed + n.
        max_tokens: of a reply, at most.

    Attributes:
        turns: what was said so far.

    Raises:
        InputError: when the model has not learned to answer.
    """

    def __init__(self, language_model: LanguageModel, sampling: Sampling, seed: int = 0, max_tokens: int = 60) -> None:
        if not language_model.chats:
            raise InputError("This model has not learned to answer, only to go on with a text: use keras-llm generate.")
        self.language_model, self.sampling, self.seed, self.max_tokens = language_model, sampling, seed, max_tokens
        self.turns: list[str] = []

    def reply(self, text: str) -> Iterator[str]:
        """The reply to a turn of the user, piece by piece. Only a reply that was heard to its end is remembered.

        Of a long conversation the model is told the last turns that fill half of its context.
        """
        said = [*self.turns, text]
        room = int(self.language_model.context_length * ROOM)
        while len(said) > 1 and len(dialogue_ids(self.language_model.tokenizer, said)[0]) > room:
            said = said[2:]
        ids, _ = dialogue_ids(self.language_model.tokenizer, said)
        pieces = []
        for piece in self.language_model.stream(ids, self.max_tokens, self.sampling, self.seed + len(self.turns)):
            pieces.append(piece)
            yield piece
        self.turns += [text, "".join(pieces).strip()]

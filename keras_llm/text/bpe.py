"""Byte-pair encoding from scratch, to be read; ``SubwordTokenizer`` does the same with a library, and faster.

    "low lower lowest"  ->  pieces "low", " lower", " lowest"  ->  l o w | ␣ l o w e r | ␣ l o w e s t
    the pair (l, o) is the most frequent: merge it everywhere, count again, merge the next, …

The texts are cut into pieces first (words, each with the space before it), and no merge crosses a piece. So only
distinct pieces need to be kept, with how often they occur, and a merge touches only the pieces that hold its pair.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import regex

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import refuse_single_string, utf8

Pair = tuple[int, int]

# GPT-2's pieces: endings after an apostrophe; letters, digits or other marks, each with one space before; white space.
PIECE = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
# The ids of the 256 bytes, in GPT-2's order: printable ones first. It decides between pairs of equal frequency.
PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
BYTE_ORDER = [*PRINTABLE, *(byte for byte in range(256) if byte not in PRINTABLE)]
FIRST_LETTER = 0x10000  # of a million: beyond the surrogates
ID_OF_BYTE = {byte: token_id for token_id, byte in enumerate(BYTE_ORDER)}


class BytePairEncoding:
    """Merges learned from texts, and the tokens that they make: ``decode(encode(text)) == text`` for any text.

    The ids 0 to 255 are the bytes; each merge adds an id.

    Args:
        merges: pairs of ids, the first learned first; a pair may use the ids that earlier ones added.

    Attributes:
        tokens: the bytes of each id.
        merges: pair of ids → the id that it makes, in the order in which they were learned.

    Raises:
        ValueError: when a pair has an id that no earlier merge made, or makes a token that is there already.

    Example:
        >>> bpe = BytePairEncoding.train(["low low low lower lower newest"], vocabulary_size=260)
        >>> [bpe.tokens[i] for i in bpe.encode("lower")]
        [b'low', b'er']

    Source: Sennrich et al. 2016, section 3.2; Radford et al. 2019, section 2.2; document D2, FAQ on rare words.
    """

    def __init__(self, merges: Iterable[Pair] = ()) -> None:
        self.tokens = [bytes([byte]) for byte in BYTE_ORDER]
        self.merges: dict[Pair, int] = {}
        self._encode_piece = lru_cache(maxsize=100_000)(self._merged_piece)  # the same words come again and again
        for left, right in merges:
            if not (0 <= left < len(self.tokens) and 0 <= right < len(self.tokens)):
                raise ValueError(f"The merge of {left} and {right} comes before one of them is made.")
            self._add((left, right))
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("Two merges make the same token.")

    def _add(self, pair: Pair) -> int:
        """The id of a new merge: the later it was learned, the higher."""
        self.merges[pair] = len(self.tokens)
        self.tokens.append(self.tokens[pair[0]] + self.tokens[pair[1]])
        return self.merges[pair]

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 8_000, min_frequency: int = 2) -> "BytePairEncoding":
        """Learn merges: again and again the most frequent pair of neighbours, the lowest ids among equals.

        Args:
            texts: read once and not kept, so that they may be lines of a large file.
            vocabulary_size: number of ids, 256 or more; fewer are used when no frequent pair is left.
            min_frequency: how often a pair must occur to be merged.

        Raises:
            InputError: when the vocabulary is too small for the bytes, there is no text, or it has a lone surrogate.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        if vocabulary_size < 256:
            raise InputError(f"vocabulary_size={vocabulary_size} does not hold all bytes: use 256 or more.")
        frequency = Counter(piece for text in texts if utf8(text) for piece in PIECE.findall(text))
        if not frequency:
            raise InputError("The training texts are empty, so no subword can be learned: give texts with content.")
        # A word is a string with one character a token: Python's own split finds a pair, fast in long words too.
        words = ["".join(letter(ID_OF_BYTE[byte]) for byte in piece.encode()) for piece in frequency]
        times = list(frequency.values())

        counts: Counter[str] = Counter()
        places: defaultdict[str, set[int]] = defaultdict(set)  # words in which a pair is, or was
        for number, word in enumerate(words):
            for left, right in pairwise(word):
                counts[left + right] += times[number]
                places[left + right].add(number)
        # The highest count comes first. An entry whose count has fallen since is put back when it comes up.
        queue = [(-count, pair) for pair, count in counts.items()]
        heapq.heapify(queue)

        bpe = cls()
        while queue and len(bpe.tokens) < vocabulary_size:
            negative, pair = heapq.heappop(queue)
            if -negative != counts[pair]:
                heapq.heappush(queue, (-counts[pair], pair))
                continue
            if counts[pair] < max(1, min_frequency):
                break
            left, right = pair
            both, grown = letter(bpe._add((token_of(left), token_of(right)))), set()
            for number in places.pop(pair):
                between, n = words[number].split(pair), times[number]  # what lies around each occurrence
                for i, (before, after) in enumerate(pairwise(between)):
                    neighbours = []  # pairs that end, and what becomes of them
                    if before:
                        neighbours.append((before[-1] + left, before[-1] + both))
                    elif i:  # two occurrences side by side
                        neighbours.append((right + left, both + both))
                    if after:
                        neighbours.append((right + after[0], both + after[0]))
                    for old, new in neighbours:
                        counts[old] -= n
                        counts[new] += n
                        places[new].add(number)
                        grown.add(new)
                    counts[pair] -= n
                words[number] = both.join(between)
            for each in grown:
                heapq.heappush(queue, (-counts[each], each))
        return bpe

    def encode(self, text: str) -> list[int]:
        """Token ids: in each piece, the merges in the order in which they were learned.

        Raises:
            InputError: when the text has a lone surrogate, which has no bytes.
        """
        utf8(text)
        return [token_id for piece in PIECE.findall(text) for token_id in self._encode_piece(piece)]

    def _merged_piece(self, piece: str) -> tuple[int, ...]:
        ids = [ID_OF_BYTE[byte] for byte in piece.encode()]
        while known := [pair for pair in pairwise(ids) if pair in self.merges]:
            first = min(known, key=self.merges.__getitem__)  # the one that was learned first
            ids = merge(ids, first, self.merges[first])
        return tuple(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; bytes that are not UTF-8, as when ids were cut inside a character, become ``�``."""
        return b"".join(self.tokens[token_id] for token_id in ids).decode(errors="replace")


def letter(token_id: int) -> str:
    """A character that stands for a token: in the order of the ids, and none of them a surrogate."""
    return chr(FIRST_LETTER + token_id)


def token_of(character: str) -> int:
    """The id that a letter stands for."""
    return ord(character) - FIRST_LETTER


def merge(ids: Sequence[int], pair: Pair, token_id: int) -> list[int]:
    """Each occurrence of a pair of neighbours replaced by one id, from left to right.

    Example:
        >>> merge([1, 1, 1, 2], (1, 1), 9)
        [9, 1, 2]
    """
    (left, right), merged, place, last = pair, [], 0, len(ids) - 1
    while place <= last:
        found = ids[place] == left and place < last and ids[place + 1] == right
        merged.append(token_id if found else ids[place])
        place += 2 if found else 1
    return merged

"""What the grader runs for the exercises of chapter 8; N, V, T, H, d, K as there."""

import math

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


penalise = Exercise("penalise_repeats", section="D3, section 6")


@penalise.check(points=2)
def makes_seen_tokens_less_probable(answer, random):
    """Positive logits are divided, negative ones multiplied, where the token was seen."""
    cases = [(np.array([2.0, -2.0, 5.0, -3.0, 0.0]), [0, 1, 4, 0], 1.2)]
    cases += [(random.normal(0, 4, 12), random.integers(0, 12, 7).tolist(), penalty) for penalty in (1.5, 2.0, 1.0)]
    for logits, seen_ids, penalty in cases:
        seen = np.isin(np.arange(len(logits)), seen_ids)
        weaker = np.where(logits > 0, logits / penalty, logits * penalty)
        mistakes = {
            "Negative logits are divided too, which brings them nearer to 0: these tokens become more probable. "
            "Multiply them.": np.where(seen, logits / penalty, logits),
            "Positive logits are multiplied too, which makes these tokens more probable. Divide them.": np.where(
                seen, logits * penalty, logits
            ),
            "The signs have changed places: divide positive logits, multiply negative ones.": np.where(
                seen, np.where(logits < 0, logits / penalty, logits * penalty), logits
            ),
            "Tokens that were not seen are changed instead of those that were.": np.where(seen, logits, weaker),
            "All tokens are changed, also those that were not seen.": weaker,
            "The penalty has no effect.": logits,
            "The penalty is subtracted; that is another rule. Here it divides and multiplies.": np.where(
                seen, logits - penalty, logits
            ),
            "Negative logits stay as they are; multiply them.": np.where(seen & (logits > 0), weaker, logits),
            "Positive logits stay as they are; divide them.": np.where(seen & (logits < 0), weaker, logits),
        }
        close(answer(logits, seen_ids, penalty), np.where(seen, weaker, logits), "Check each sign.", mistakes)


top_k = Exercise("keep_top_k", section="D3, section 6")


def as_bool(found, shape: tuple[int, ...]) -> np.ndarray:
    """A mask as bool, also when it is made of zeros and ones."""
    why = "True where a token stays, False elsewhere."
    numbers = array(found, shape, why)
    holds(bool(np.isin(numbers, (0, 1)).all()), f"The mask holds other numbers than True and False. {why}")
    return numbers.astype(bool)


@top_k.check(points=2)
def keeps_the_k_largest(answer, random):
    """The k largest logits of each row stay."""
    for rows, size, k in ((3, 10, 4), (1, 6, 1), (4, 50, 20)):
        logits = random.normal(0, 3, (rows, size))
        ranks = np.argsort(np.argsort(-logits, axis=1), axis=1)
        mistakes = {
            "The k least probable tokens are kept.": ranks >= size - k,
            "The mask is inverted: True is for what stays.": ranks >= k,
            "One token too few is kept: the k-th itself stays too (>=, not >).": ranks < k - 1,
            "One token too many is kept.": ranks < k + 1,
            "The first k ids are kept, instead of the k largest logits.": np.tile(np.arange(size) < k, (rows, 1)),
            "All rows have one threshold, of the whole array; each text has its own.": logits
            >= np.sort(logits.ravel())[-k],
        }
        close(as_bool(answer(logits, k), logits.shape), ranks < k, "The k largest of each row stay.", mistakes)


@top_k.check(points=1)
def keeps_equals_at_the_border(answer, random):
    """Those that equal the k-th stay too."""
    logits = np.array([[1.0, 5.0, 3.0, 3.0, 3.0, -2.0], [2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
    expected = np.array([[0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
    found = as_bool(answer(logits, 2), logits.shape)
    mistakes = {
        "Tokens that equal the k-th fall away with it: compare with >=.": logits > [[3.0], [2.0], [5.0]],
    }
    why = "A token that is as probable as the k-th stays too: compare with the k-th logit instead of counting places."
    close(found, expected, why, mistakes)


@top_k.check(points=1)
def bears_a_large_k(answer, random):
    """A k of V or more leaves all."""
    logits = random.normal(size=(2, 5))
    for k in (5, 6, 40):
        found = as_bool(answer(logits, k), logits.shape)
        holds(bool(found.all()), f"With k = {k} and 5 tokens, all stay.")
    found = as_bool(answer(logits, 4), logits.shape)
    holds(bool((found.sum(axis=1) == 4).all()), "With k = 4 and 5 tokens, one falls away.")


top_p = Exercise("keep_top_p", section="D3, section 6")


def nucleus(probabilities: np.ndarray, p: float, least: int = 1, more: int = 0, rising: bool = False) -> np.ndarray:
    """The mask row by row; the rest makes known mistakes."""
    kept = np.zeros(probabilities.shape, bool)
    for row, chances in zip(kept, probabilities, strict=True):
        order = np.argsort(chances if rising else -chances, kind="stable")
        sums = np.cumsum(chances[order])
        row[order[: max(least, int((sums < p).sum()) + 1 + more)]] = True
    return kept


@top_p.check(points=2)
def keeps_the_fewest(answer, random):
    """The fewest tokens that together have probability p stay."""
    for size, p in ((8, 0.6), (30, 0.9), (12, 0.35)):
        probabilities = softmax(random.normal(0, 1.5, (5, size)))
        sums = np.cumsum(probabilities, axis=1)
        right = nucleus(probabilities, p)
        in_order = np.zeros_like(right)
        for row, each in zip(in_order, right, strict=True):
            row[: each.sum()] = True
        mistakes = {
            "One token too few: the one with which the sum reaches p stays too.": nucleus(probabilities, p, 0, -1),
            "One token too few (except where only one is left): the one with which the sum reaches p stays too.": (
                nucleus(probabilities, p, 1, -1)
            ),
            "One token too many: stop as soon as the sum reaches p.": nucleus(probabilities, p, 1, 1),
            "The mask is in the order of the sorting; bring it back into the order of the ids.": in_order,
            "The sum runs over the ids as they come: sort, falling, first.": sums - probabilities < p,
            "The least probable tokens come first: sort falling.": nucleus(probabilities, p, rising=True),
            "Each probability is compared with 1 - p by itself; it is their sum that counts.": probabilities >= 1 - p,
            "The mask is inverted: True is for what stays.": ~right,
        }
        why = "Take the most probable tokens until their sum is p or more, each row for itself."
        close(as_bool(answer(probabilities, p), probabilities.shape), right, why, mistakes)


@top_p.check(points=1)
def leaves_at_least_one(answer, random):
    """However small p is, the most probable token stays, and it alone."""
    probabilities = np.array([[0.02, 0.9, 0.05, 0.03], [0.3, 0.24, 0.2, 0.26]])
    for p in (0.1, 0.001):
        found = as_bool(answer(probabilities, p), probabilities.shape)
        holds(
            bool(found.any(axis=1).all()),
            f"With p = {p} nothing is left: the most probable token has more than p, and has to stay.",
        )
        close(found, [[0, 1, 0, 0], [1, 0, 0, 0]], f"With p = {p} the most probable token stays alone.")
    found = as_bool(answer(probabilities, 0.5), probabilities.shape)
    close(found, [[0, 1, 0, 0], [1, 0, 0, 1]], "With p = 0.5 the first text keeps one token, and the second two.")


@top_p.check(points=1)
def stops_exactly_at_p(answer, random):
    """A sum that is exactly p is enough; p = 1 leaves all."""
    eighths = np.array([[0.125, 0.5, 0.25, 0.0625, 0.03125, 0.03125]])
    halves = np.array([[0.25, 0.5, 0.0625, 0.1875]])
    found = as_bool(answer(halves, 0.75), halves.shape)
    mistakes = {"The sum of two tokens is exactly p, and a third is taken: stop at p or more.": [[1, 1, 0, 1]]}
    close(found, [[1, 1, 0, 0]], "1/2 + 1/4 is exactly p = 3/4: these two stay.", mistakes)
    close(as_bool(answer(eighths, 1.0), eighths.shape), np.ones((1, 6)), "With p = 1 all tokens stay.")


draw = Exercise("draw_tokens", section="D3, section 6")


@draw.check(points=2)
def inverts_the_cumulative_sum(answer, random):
    """Each u gives the token in whose share of [0, 1) it falls, at the given temperature."""
    why = "The token of u is the first with p_0 + ... + p_i > u, with p = softmax(logits / temperature)."
    cases = [(np.log([0.3, 0.5, 0.2]), 1.0)]
    cases += [(random.normal(0, 2, 20), temperature) for temperature in (0.5, 2.0, 1.0)]
    for logits, temperature in cases:
        uniforms = random.random(60)

        def tokens(scores: np.ndarray, u: np.ndarray = uniforms) -> np.ndarray:
            return np.minimum((np.cumsum(softmax(scores)) <= u[:, None]).sum(axis=1), len(scores) - 1)

        falling = np.argsort(-logits)
        right = tokens(logits / temperature)
        mistakes = {
            "The temperature multiplies; the logits are divided by it.": tokens(logits * temperature),
            "The temperature has no effect.": tokens(logits),
            "The most probable token is taken each time; only temperature 0 does that.": np.full(60, falling[0]),
            "The tokens are counted from 1; the first id is 0.": right + 1,
            "The token is the one before: the first whose sum lies above u is wanted.": right - 1,
            "These are places in a sorted list; return ids of the vocabulary.": tokens(logits[falling] / temperature),
            "The cumulative sum is walked from its end: take the first token whose sum exceeds u.": tokens(
                logits / temperature, 1 - uniforms
            ),
        }
        close(answer(logits, temperature, uniforms), right, why, mistakes)


@draw.check(points=1)
def is_greedy_at_zero(answer, random):
    """Temperature 0 takes the most probable token."""
    logits = random.normal(size=9)
    why = "At temperature 0 each draw is the most probable token; a division by 0 is none."
    close(answer(logits, 0.0, random.random(5)), np.full(5, logits.argmax()), why)


@draw.check(points=1)
def is_stable(answer, random):
    """Logits in the hundreds, of either sign, overflow nothing."""
    for shift in (900.0, -900.0):
        logits = np.log([0.2, 0.3, 0.5]) + shift
        why = (
            f"It fails for logits around {shift:g}. If small ones work: exp of a large logit overflows, of a "
            "very low one gives 0, so take the largest logit away before exp."
        )
        close(answer(logits, 1.0, np.array([0.1, 0.3, 0.9])), [0, 1, 2], why)


@draw.check(points=1)
def keeps_to_the_borders(answer, random):
    """No token of probability 0, and no id beyond the last."""
    never = np.array([-1e9, 0.0, -1e9, 1.0, -1e9])
    found = array(answer(never, 1.0, np.array([0.0, 0.99])), (2,), "One token for each u.")
    holds(
        not np.isin(found, (0, 2, 4)).any(),
        "A token of probability 0 is drawn: the first whose sum exceeds u is wanted, not equals it.",
    )
    holds(found[0] == 1, "For u = 0 the first token with a probability above 0 is wanted.")
    holds(found[1] == 3, "For u = 0.99 the last token with a probability above 0 is wanted; it has 73%.")
    for _ in range(40):
        logits = random.normal(0, 3, 400)
        found = array(answer(logits, 1.0, np.array([np.nextafter(1, 0)])), (1,), "One token for each u.")
        holds(
            bool((found >= 0).all() and (found < 400).all()),
            "Rounding leaves the sum of all a little below 1, and u lies above it: an id of V does not exist. "
            "Take the last token then.",
        )


step = Exercise("cached_step", section="D3, section 6", seconds=10)


def attended(query: np.ndarray, keys: np.ndarray, values: np.ndarray, scale: float | None = None) -> np.ndarray:
    """Attention of one query a head, ``(H, d)``."""
    scores = np.einsum("hd,htd->ht", query, keys) / (math.sqrt(query.shape[-1]) if scale is None else scale)
    return np.einsum("ht,htd->hd", softmax(scores), values)


def parts_of(found, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, keys and values that were returned, with right shapes."""
    holds(isinstance(found, list | tuple) and len(found) == 3, "Return three: the output, the keys, the values.")
    heads, _, width = shape
    output = array(found[0], (heads, width), "The first is the output of the heads, (H, d).")
    return output, *(array(each, shape, "Keys and values have one token more than before.") for each in found[1:])


@step.check(points=1)
def appends_to_the_cache(answer, random):
    """The new key and value stand behind those before."""
    for heads, time, width in ((2, 3, 4), (1, 0, 2), (3, 1, 5)):
        q, k, v = (random.normal(size=(heads, width)) for _ in range(3))
        keys, values = (random.normal(size=(heads, time, width)) for _ in range(2))
        _, new_keys, new_values = parts_of(answer(q, k, v, keys, values), (heads, time + 1, width))
        whole_k, whole_v = (np.concatenate([old, own[:, None]], axis=1) for old, own in ((keys, k), (values, v)))
        for name, new, old, own, expected, other in (
            ("keys", new_keys, keys, k, whole_k, whole_v),
            ("values", new_values, values, v, whole_v, whole_k),
        ):
            mistakes = {
                "The newest token stands in front of the others; it belongs behind them.": np.concatenate(
                    [own[:, None], old], axis=1
                ),
                "Keys and values have changed places.": other,
            }
            close(new, expected, f"The new cache of the {name} is the old one with one token behind it.", mistakes)


@step.check(points=2)
def attends_to_all(answer, random):
    """The output is the attention of the newest token to all, itself included."""
    for heads, time, width in ((2, 5, 4), (3, 1, 9)):
        q, k, v = (random.normal(size=(heads, width)) for _ in range(3))
        keys, values = (random.normal(size=(heads, time, width)) for _ in range(2))
        whole_k = np.concatenate([keys, k[:, None]], axis=1)
        whole_v = np.concatenate([values, v[:, None]], axis=1)
        scores = np.einsum("hd,htd->ht", q, whole_k) / math.sqrt(width)
        mistakes = {
            "The newest token does not see itself: append first, then attend.": attended(q, keys, values),
            "The division by √d is missing.": attended(q, whole_k, whole_v, 1.0),
            "The scores are divided by d instead of √d.": attended(q, whole_k, whole_v, width),
            "The scores are divided by the root of the number of tokens; the width of a head, d, is wanted.": attended(
                q, whole_k, whole_v, math.sqrt(time + 1)
            ),
            "The softmax runs over the heads; it runs over the tokens, each head on its own.": np.einsum(
                "ht,htd->hd", softmax(scores.T).T, whole_v
            ),
            "The scores weigh the values without a softmax.": np.einsum("ht,htd->hd", scores, whole_v),
            "The key asks instead of the query.": attended(k, whole_k, whole_v),
            "The keys are averaged; the output is a mean of the values.": attended(q, whole_k, whole_k),
        }
        output, *_ = parts_of(answer(q, k, v, keys, values), (heads, time + 1, width))
        close(output, attended(q, whole_k, whole_v), "Check softmax(q Kᵀ / √d) V, head by head.", mistakes)


@step.check(points=2)
def equals_recomputation(answer, random):
    """Step after step from an empty cache gives what attention over the whole row gives, with its causal mask."""
    heads, time, width = 2, 6, 4
    q, k, v = (random.normal(0, 8, size=(heads, time, width)) for _ in range(3))
    scores = np.where(np.tri(time, dtype=bool), q @ k.swapaxes(1, 2) / math.sqrt(width), -1e9)
    whole = softmax(scores) @ v
    keys = values = np.zeros((heads, 0, width))
    for place in range(time):
        output, keys, values = parts_of(
            answer(q[:, place], k[:, place], v[:, place], keys, values), (heads, place + 1, width)
        )
        why = f"Token {place + 1} of a row differs from what computing the whole row again gives."
        close(output, whole[:, place], why)
    q, k, v = np.full((1, 1), 300.0), np.full((1, 1), 10.0), np.ones((1, 1))
    found = answer(q, k, v, np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    why = "exp of a large score overflows: take the largest score of each head away before exp."
    holds(bool(np.isfinite(np.asarray(found[0], "float64")).all()), why)
    close(found[0], [[1.0]], "Of two keys, one with a score of 3,000 and one with 0, the first gets all the weight.")


guessing = Exercise("check_guesses", section="D3, section 6", seconds=10)


def two_of(found, size: int) -> tuple[int, np.ndarray]:
    holds(isinstance(found, list | tuple) and len(found) == 2, "Return two: how many are kept, and the next odds.")
    return int(array(found[0], (), "How many guesses are kept.")), array(found[1], (size,), "Odds of the next token.")


@guessing.check(points=2)
def keeps_until_the_first_refused(answer, random):
    """The guesses up to the first that is refused are kept."""
    rules = {
        "It is turned round: a guess is kept when u is below p / q.": lambda u, p, q, best: u >= p / q,
        "The quotient is upside down: it is p, of the large model, over q.": lambda u, p, q, best: u < q / p,
        "u is compared with p alone; what the draft wanted often, q, has to be divided by.": lambda u, p, q, best: (
            u < p
        ),
        "u is compared with q; p / q, of both models, decides.": lambda u, p, q, best: u < q,
        "A guess is kept where it is at least as probable to the large model; where it is less, the lot decides: "
        "u < p / q.": lambda u, p, q, best: p >= q,
        "A guess is kept only where it is the large model's best token; that is not by lot.": lambda u, p, q, best: (
            best
        ),
    }
    found, right, behind = [], [], []
    mistaken: dict[str, list[int]] = {sentence: [] for sentence in rules}
    for _ in range(30):
        p, q = softmax(random.normal(0, 1.5, (4, 5))), softmax(random.normal(0, 1.5, (3, 5)))
        guesses, uniforms = [int(random.choice(5, p=row)) for row in q], random.random(3)
        chances = np.array([[p[i, g], q[i, g], float(g == p[i].argmax())] for i, g in enumerate(guesses)]).T
        kept = uniforms < chances[0] / chances[1]
        right.append(int(np.cumprod(kept).sum()))
        behind.append(int(kept.sum()))
        for sentence, rule in rules.items():
            mistaken[sentence].append(int(np.cumprod(rule(uniforms, *chances)).sum()))
        found.append(two_of(answer(p, q, guesses, uniforms), 5)[0])
    mistakes = {
        "A guess behind a refused one is counted: after the first that is not kept, the rest is dropped.": behind,
        "One too many: the guess that is refused is not kept.": np.minimum(np.array(right) + 1, 3),
        **mistaken,
    }
    close(found, right, "Count the guesses before the first with u >= p / q.", mistakes)


@guessing.check(points=2)
def gives_the_next_odds(answer, random):
    """Behind the kept guesses come the large model's own odds, or what they have more than the draft's."""
    for kept in (0, 1, 2, 3):
        p, q = softmax(random.normal(0, 1.5, (4, 6))), softmax(random.normal(0, 1.5, (3, 6)))
        guesses = [int(np.argmax(p[i] / q[i])) for i in range(3)]
        uniforms = np.full(3, 0.5)
        if kept < 3:  # one that the draft likes more than the large model
            guesses[kept] = int(np.argmin(p[kept] / q[kept]))
            uniforms[kept] = 0.999
        place = min(kept, 2)
        rest = np.maximum(p[place] - q[place], 0)
        mistakes = {
            "Not all guesses are kept, and the odds are p: what the draft could have given is drawn twice then. Take "
            "max(p - q, 0).": p[place],
            "The odds do not sum to 1: divide max(p - q, 0) by its sum.": rest,
            "These are |p - q|; a token that the draft likes more gets nothing.": np.abs(p[place] - q[place])
            / np.abs(p[place] - q[place]).sum(),
            "These are the odds q of the draft.": q[place],
            "p and q have changed places in max(p - q, 0).": np.maximum(q[place] - p[place], 0)
            / np.maximum(q[place] - p[place], 0).sum(),
            "The last row of p is for the case that all guesses are kept.": p[3],
        }
        if kept == 3:
            mistakes = {
                "All guesses are kept, so the odds are those behind the last of them: p[K].": p[2],
                "All guesses are kept, and nothing is to be taken away: the odds are p[K].": rest / rest.sum(),
            }
        right = p[3] if kept == 3 else rest / rest.sum()
        _, odds = two_of(answer(p, q, guesses, uniforms), 6)
        close(odds, right, f"Of 3 guesses, {kept} are kept; check the odds of the next token.", mistakes)


@guessing.check(points=1)
def leaves_the_odds_of_the_large_model(answer, random):
    """Whatever the draft guesses, the token has the large model's odds."""
    p, q = np.array([[0.1, 0.4, 0.3, 0.2], [0.25, 0.25, 0.25, 0.25]]), np.array([[0.4, 0.1, 0.2, 0.3]])
    found, steps, share = np.zeros(4), 40, 0.0
    for guess in range(4):
        for u in (np.arange(steps) + 0.5) / steps:
            kept, odds = two_of(answer(p, q, [guess], np.array([u])), 4)
            found += q[0, guess] / steps * (np.eye(4)[guess] if kept else odds)
            share += q[0, guess] / steps * kept
    close(found, p[0], "Over all guesses and draws the token does not have the odds p.", atol=0.02)
    why = "Of the guesses the share Σ min(p, q) is to be kept: without them, the draft saves no step."
    close(share, np.minimum(p[0], q[0]).sum(), why, atol=0.02)
    impossible = np.array([[0.0, 1.0], [0.5, 0.5]])
    kept, _ = two_of(answer(impossible, np.array([[0.5, 0.5]]), [0], np.zeros(1)), 2)
    holds(kept == 0, "A guess that is impossible to the large model is kept at u = 0: keep it when u < p / q, not <=.")


labels_of_replies = Exercise("reply_labels", section="D3, section 6")


def template(turns, start, end, of_reply=True, of_user=False, reply_end=True, user_end=False):
    """Ids of the template, and the same with 0 where a token does not count."""
    ids, learned = [], []
    for number, turn in enumerate(turns):
        reply = number % 2 == 1
        counts = of_reply if reply else of_user
        begin = [] if reply else [start]
        ids += [*begin, *turn, end]
        learned += [i if counts else 0 for i in (*begin, *turn)]
        learned.append(end if (reply_end if reply else user_end) else 0)
    return ids, learned


DIALOGUES = (
    ([[7], [8]], 1, 2),
    ([[11, 12], [13, 14, 15], [16], [17, 18]], 1, 2),
    ([[5, 6], [9], [6, 5, 4]], 98, 99),
    ([[], [30], [31], []], 3, 4),
)


def two_lists(found) -> tuple[list[int], list[int]]:
    holds(isinstance(found, list | tuple) and len(found) == 2, "Return two lists: the inputs and the labels.")
    return found


@labels_of_replies.check(points=1)
def puts_turns_into_the_template(answer, random):
    """The inputs are the template without its last token."""
    for turns, start, end in DIALOGUES:
        inputs, _ = two_lists(answer(turns, start, end))
        ids, _ = template(turns, start, end)
        everywhere = [i for turn in turns for i in (start, *turn, end)]
        mistakes = {
            "The last token has nothing after it: it is no input, so cut it off.": ids,
            "The inputs are cut at the wrong end: the labels lose their first, the inputs their last.": ids[1:],
            "A reply gets a <s> too; only the user's turns begin with it.": everywhere[:-1],
            "A user's turn has no <s> in front.": [i for turn in turns for i in (*turn, end)][:-1],
            "The </s> behind the user's turns is missing.": [
                i for n, turn in enumerate(turns) for i in (*([] if n % 2 else [start]), *turn, *([end] * (n % 2)))
            ][:-1],
        }
        same(inputs, ids[:-1], "Check the template <s> user </s> reply </s>.", mistakes)


@labels_of_replies.check(points=2)
def counts_replies_alone(answer, random):
    """A label is the next token where that belongs to a reply, and 0 elsewhere."""
    for turns, start, end in DIALOGUES:
        _, labels = two_lists(answer(turns, start, end))

        def wrong(turns=turns, start=start, end=end, **options) -> list[int]:
            return template(turns, start, end, **options)[1][1:]

        learned = template(turns, start, end)[1]
        mistakes = {
            "The labels are not one place further: each input would have to guess itself.": learned[:-1],
            "The labels keep their first: cut it off, so that each stands beside the token before it.": learned,
            "The loss counts on all tokens, so the model learns to ask, too.": wrong(of_user=True, user_end=True),
            "The loss counts on the user's turns instead of the replies.": wrong(
                of_reply=False, of_user=True, reply_end=False, user_end=True
            ),
            "The </s> of a reply is not learned: the model would never stop.": wrong(reply_end=False),
            "The </s> of the user's turn counts too; it is the user who ends that turn.": wrong(user_end=True),
        }
        same(labels, learned[1:], "The label of a place is the token after it, if that is part of a reply.", mistakes)


warm = Exercise("temperature_for_entropy", section="D3, section 6", seconds=10)


def entropy(logits: np.ndarray, temperature: float) -> float:
    odds = softmax(logits / temperature)
    return -float((odds * np.log2(np.where(odds > 0, odds, 1))).sum())


@warm.check(points=2)
def reaches_the_entropy(answer, random):
    """At the temperature that was found, the odds have the entropy that was wanted."""
    for size, spread, at in ((50, 3.0, 0.8), (4, 1.0, 1.7), (1_000, 2.0, 0.3), (20, 0.5, 0.05), (30, 2.0, 12.0)):
        logits = random.normal(0, spread, size)
        bits = entropy(logits, at)
        found = array(answer(logits, bits), (2,), "Return the temperature and the entropy.")
        holds(found[0] > 0, "A temperature is above 0.")
        reached = entropy(logits, found[0])
        if abs(reached - bits) <= 2e-3:
            continue
        holds(
            abs(reached * math.log(2) - bits) > 2e-3,
            "At this temperature the entropy is right in nats; bits are wanted, so take log2.",
        )
        holds(
            abs(entropy(logits, 1 / found[0]) - bits) > 2e-3,
            "This is one divided by the temperature: the logits are divided by it, not multiplied.",
        )
        holds(
            not (reached > bits and np.isclose(found[0], 100, rtol=0.02))
            and not (reached < bits and np.isclose(found[0], 0.01, rtol=0.02)),
            "The search runs to an end of its interval. The entropy rises with the temperature: where it is too low, "
            "the temperature has to rise.",
        )
        holds(
            False, f"At the temperature found, {found[0]:.4g}, the entropy is {reached:.3f} bits instead of {bits:.3f}."
        )


@warm.check(points=1)
def says_what_it_measured(answer, random):
    """The second number is the entropy at the first."""
    for at in (0.4, 2.5):
        logits = random.normal(0, 2, 40)
        bits = entropy(logits, at)
        found = array(answer(logits, bits), (2,), "Return the temperature and the entropy.")
        holds(found[0] > 0, "A temperature is above 0.")
        at_it = entropy(logits, found[0])
        mistakes = {
            "The entropy that you return is in nats; bits are wanted: log2.": at_it * math.log(2),
            "The entropy has no minus sign.": -at_it,
            "The logits are multiplied by the temperature; they are divided by it.": entropy(logits, 1 / found[0]),
        }
        close(found[1], at_it, "This is not the entropy at the temperature that you return.", mistakes, atol=2e-3)
        holds(abs(at_it - bits) < 0.5, f"{at_it:.3f} bits are measured, and {bits:.3f} were wanted: search on.")


@warm.check(points=1)
def bears_large_logits(answer, random):
    """Logits in the hundreds, and tokens whose probability is 0 by rounding."""
    for logits, at in ((random.normal(0, 1, 30) + 800, 0.5), (np.linspace(-400, 400, 81), 5.0)):
        bits = entropy(logits, at)
        why = (
            "It fails for large logits. If small ones work: exp overflows, or p log p is taken where p is 0; "
            "take the largest logit away first, and skip such p."
        )
        found = array(answer(logits, bits), (2,), why)
        holds(found[0] > 0 and abs(entropy(logits, found[0]) - bits) <= 2e-3, why)

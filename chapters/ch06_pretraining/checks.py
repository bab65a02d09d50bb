"""What the grader runs for the exercises of chapter 6; N, T, V, d as there."""

import math

import numpy as np

from keras_llm.grading import Exercise, array, close, holds


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


loss_of_next = Exercise("next_token_loss", section="D2")


@loss_of_next.check(points=2)
def guesses_the_next_token(answer, random):
    """The mean of -log P(next token)."""
    for length, size in ((6, 9), (2, 4), (11, 3)):
        logits, ids = random.normal(0, 2, (length, size)), random.integers(0, size, length)
        logs, places = log_softmax(logits), np.arange(length)
        right = -logs[places[:-1], ids[1:]].mean()
        mistakes = {
            "The minus sign is missing: training would make the text improbable.": -right,
            "The labels are not shifted: each place has to guess the token that it sees.": -logs[places, ids].mean(),
            "The labels are not shifted: each place but the last has to guess the token that it sees.": -logs[
                places[:-1], ids[:-1]
            ].mean(),
            "The shift goes the other way: place t guesses the token before it.": -logs[places[1:], ids[:-1]].mean(),
            "The labels are shifted, and so are the logits: those of place t are for the token at t + 1.": -logs[
                places[1:], ids[1:]
            ].mean(),
            "The last place has to guess the first token: np.roll wraps round, and there is nothing after the end.": (
                -logs[places, np.roll(ids, -1)].mean()
            ),
            "It is the sum; the mean over the T - 1 places is wanted.": right * (length - 1),
            "The sum is divided by T; only T - 1 places have a next token.": right * (length - 1) / length,
            "This is in bits; the loss is in nats.": right / math.log(2),
            "These are probabilities without a logarithm.": -np.exp(logs[places[:-1], ids[1:]]).mean(),
            "All pairs of a place and a token are picked; two index arrays of one length pick one number a row.": (
                -logs[:-1][:, ids[1:]].mean()
            ),
        }
        close(answer(logits, ids), right, "The loss is the mean of -log P of each next token.", mistakes)


@loss_of_next.check(points=1)
def knows_nothing_and_all(answer, random):
    """A model that knows nothing has ln V; one that is sure of what is right has 0."""
    ids = np.array([3, 1, 4, 1, 5])
    close(answer(np.zeros((5, 50)), ids), math.log(50), "Even odds among 50 tokens cost ln 50.")
    sure = np.zeros((5, 6))
    sure[np.arange(4), ids[1:]] = 40
    close(answer(sure, ids), 0, "Sure and right at each place costs nothing.")


additive = Exercise("additive_logits", section="D4, section 3.1")


@additive.check(points=2)
def adds_the_votes(answer, random):
    """Row t is W_e plus the votes of the tokens 0 to t."""
    for length, size in ((5, 7), (1, 3), (8, 4)):
        ids, alone = random.integers(1, size, length), random.normal(size=size)
        votes = random.normal(size=(size, size))
        cast = votes[ids]
        right = alone + np.cumsum(cast, axis=0)
        each = np.arange(1, length + 1)[:, None]
        mistakes = {
            "W_e is missing.": right - alone,
            "W_e is added with each token; it counts once.": right + alone * (each - 1),
            "Only the last token votes; that is the bigram of D4's code.": alone + cast,
            "The token at t itself does not vote; the sum goes up to i = t.": right - cast,
            "All tokens of the row vote, also later ones: that leaks what is to be guessed.": alone
            + np.repeat(cast.sum(0, keepdims=True), length, axis=0),
            "The votes of a word stand in its row of W_h, not in its column.": alone + np.cumsum(votes[:, ids].T, 0),
            "The votes are averaged; the formula adds them.": alone + np.cumsum(cast, axis=0) / each,
            "The sum runs over the words; it runs over the time.": alone + np.cumsum(cast, axis=1),
            "W_e is picked by the tokens of the row; each next word w has its own W_e[w].": np.cumsum(cast, axis=0)
            + alone[ids][:, None],
            "These are probabilities; the logits are wanted, before the softmax.": np.exp(log_softmax(right)),
        }
        close(answer(ids, alone, votes), right, "Add W_h[w_i] of all tokens up to t to W_e.", mistakes)


@additive.check(points=1)
def padding_has_no_vote(answer, random):
    """Padding adds nothing, wherever it stands."""
    ids, alone, votes = np.array([2, 0, 3, 1, 0, 0]), random.normal(size=5), random.normal(size=(5, 5))
    right = alone + np.cumsum(votes[ids] * (ids != 0)[:, None], axis=0)
    mistakes = {
        "Padding votes: row 0 of W_h has to be left out.": alone + np.cumsum(votes[ids], axis=0),
        "The row at padding is 0; it has the logits of the tokens before it.": right * (ids != 0)[:, None],
    }
    close(answer(ids, alone, votes), right, "At padding the logits stay what they were one place before.", mistakes)


bigram = Exercise("bigram_perplexity", section="D4, section 3.1")


@bigram.check(points=3)
def counts_and_smooths(answer, random):
    """The perplexity of add-k bigrams."""
    for size, k, length in ((6, 0.5, 200), (12, 0.01, 60), (4, 1.0, 30), (5, 2.0, 2)):
        train = random.choice(size, length, p=random.dirichlet(np.ones(size)))
        held_out = random.integers(0, size, 40)
        if length > 2:
            train[:6] = [1, 1, 1, 2, 1, 2]  # pairs that occur several times
            held_out[:2] = train[-1], held_out[2]  # the last training token, as the first of a pair
        pairs = held_out[:-1], held_out[1:]
        counts, once = np.zeros((size, size)), np.zeros((size, size))
        np.add.at(counts, (train[:-1], train[1:]), 1)
        once[train[:-1], train[1:]] = 1
        totals, tokens = counts.sum(1, keepdims=True), np.bincount(train, minlength=size)

        def perplexity(odds: np.ndarray, pairs=pairs) -> float:
            return float(np.exp(-np.log(odds[pairs]).mean()))

        odds = (counts + k) / (totals + k * size)
        logs = np.log(odds[pairs])
        single = (tokens + k) / (length + k * size)
        own = np.zeros((size, size))
        np.add.at(own, pairs, 1)
        mistakes = {
            "A pair that occurs several times is counted once; counts[a, b] += 1 does that, np.add.at does not.": (
                perplexity((once + k) / (once.sum(1, keepdims=True) + k * size))
            ),
            "A pair that occurs several times is counted once, but c(a) counts all.": perplexity(
                (once + k) / (totals + k * size)
            ),
            "c(a) counts the last training token, which has nothing after it; c(a) is the sum of c(a, b) over b.": (
                perplexity((counts + k) / (tokens[:, None] + k * size))
            ),
            "Below the line k is added once instead of V times, so that the odds do not sum to 1.": perplexity(
                (counts + k) / (totals + k)
            ),
            "k is missing below the line, so that the odds do not sum to 1.": perplexity(
                (counts + k) / np.maximum(totals, 1)
            ),
            "k is added as 1: use the k that is given.": perplexity((counts + 1) / (totals + size)),
            "The held-out pairs are turned round: the token before is a, the one to be guessed is b.": perplexity(
                odds, pairs[::-1]
            ),
            "Above the line 1 is added instead of k.": perplexity((counts + 1) / (totals + k * size)),
            "The pair is turned round: P(b | a) with a before b.": perplexity(
                ((counts + k) / (counts.sum(0, keepdims=True) + k * size)).T
            ),
            "The sum goes over a: c(a) is the number of pairs that begin with a.": perplexity(
                (counts + k) / (counts.sum(0, keepdims=True) + k * size)
            ),
            "This is the loss; the perplexity is exp of it.": -logs.mean(),
            "The minus sign is missing.": math.exp(logs.mean()),
            "The losses are added instead of averaged.": math.exp(min(-logs.sum(), 700)),
            "The sum of the losses is divided by the number of tokens; there is one pair fewer.": math.exp(
                -logs.sum() / len(held_out)
            ),
            "Base 2 and base e are mixed: 2 to the power of a loss in nats.": 2.0 ** -logs.mean(),
            "Base 2 and base e are mixed: exp of a loss in bits.": math.exp(-logs.mean() / math.log(2)),
            "The mean is of 1 / P; the perplexity is exp of the mean of -ln P.": (1 / odds[pairs]).mean(),
            "These are frequencies of single tokens; the token before is not looked at.": math.exp(
                -np.log(single[held_out[1:]]).mean()
            ),
            "The pairs are counted in the held-out text: count in the training text.": perplexity(
                (own + k) / (own.sum(1, keepdims=True) + k * size)
            ),
        }
        why = f"With V = {size}, k = {k} and {length} training tokens the perplexity is wrong."
        close(answer(train, held_out, size, k), perplexity(odds), why, mistakes, atol=1e-9)


@bigram.check(points=1)
def bears_unseen_tokens(answer, random):
    """A token that the training text has not has even odds after it; a huge k has them everywhere."""
    train = np.array([1, 2, 1, 2, 1])
    close(
        answer(train, np.array([7, 3, 6, 9]), 10, 0.1), 10, "After tokens that were never seen, all V are as probable."
    )
    close(answer(train, np.array([1, 2, 1]), 10, 1e12), 10, "With a huge k all V tokens are as probable.", rtol=1e-3)
    why = "With the pairs 1 2 and 2 1 twice each and k = 0.1, P(2 | 1) and P(1 | 2) are 2.1 / 3."
    close(answer(train, np.array([1, 2, 1]), 10, 0.1), 3 / 2.1, why)


bits = Exercise("bits_of_text", section="D4, section 3.1")


@bits.check(points=2)
def shares_the_bits(answer, random):
    """The bits of all tokens, a character and a byte."""
    for text, tokens in (
        ("却说曹操引军入许都。", 7),
        ("My fellow citizens", 4),
        ("naïve café 😀", 9),
        ("ab", 1),
        ("é", 2),
    ):
        loss = float(random.uniform(0.5, 6))
        characters, size = len(text), len(text.encode("utf-8"))
        nats = loss * tokens
        whole = nats / math.log(2)
        mistakes = {
            "These are nats; a bit is ln 2 nats, so divide by ln 2.": (nats / characters, nats / size),
            "The nats are multiplied by ln 2; a bit is ln 2 nats, so divide.": (
                nats * math.log(2) / characters,
                nats * math.log(2) / size,
            ),
            "The logarithm of the loss is taken; the loss is a logarithm already.": (
                math.log2(loss) * tokens / characters,
                math.log2(loss) * tokens / size,
            ),
            "The loss is of one token: multiply by the number of tokens.": (
                whole / tokens / characters,
                whole / tokens / size,
            ),
            "These are bits a token; the number of characters is not used.": (whole / tokens, whole / tokens),
            "The quotient of tokens and characters is upside down.": (
                loss / math.log(2) * characters / tokens,
                loss / math.log(2) * size / tokens,
            ),
            "The two have changed places: a character first.": (whole / size, whole / characters),
            "A byte is taken for a character: text.encode() has more bytes than the text has characters.": (
                whole / characters,
                whole / characters,
            ),
            "A character is taken for a byte: len(text) counts characters.": (whole / size, whole / size),
            "The bytes are those of UTF-16.": (whole / characters, whole / len(text.encode("utf-16"))),
        }
        right = (whole / characters, whole / size)
        close(answer(loss, tokens, text), right, f"For {text!r} the shares are wrong.", mistakes)


hiding = Exercise("hide_tokens", section="D2")


def riddle(random, rows: int, length: int):
    """Arguments of an exercise: ids with padding, special tokens 0 to 3, V = 50, mask 4."""
    ids = random.integers(5, 50, (rows, length))
    ids = np.where(random.random(ids.shape) < 0.2, random.integers(0, 4, ids.shape), ids)
    ids[:, -length // 4 :] = 0
    lots, kinds = random.random(ids.shape), random.random(ids.shape)
    lots[random.random(ids.shape) < 0.5] *= 0.15  # more than usual are chosen, so that all cases occur
    return ids, lots, kinds, random.integers(5, 50, ids.shape), 4, [0, 1, 2, 3]


def shown_where(chosen, kinds, ids, random_ids, mask_id, first=0.8, second=0.9) -> np.ndarray:
    hidden = np.where(kinds < first, mask_id, np.where(kinds < second, random_ids, ids))
    return np.where(chosen, hidden, ids)


def two_of(found, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    holds(isinstance(found, list | tuple) and len(found) == 2, "Return two: what is shown, and the labels.")
    shown = array(found[0], shape, "What is shown has the shape of the rows.")
    return shown, array(found[1], shape, "The labels have the shape of the rows.")


@hiding.check(points=2)
def shows_the_riddle(answer, random):
    """Of the chosen tokens 80% are masked, 10% random, 10% stay; all others stay."""
    for rows, length in ((6, 40), (1, 200)):
        ids, lots, kinds, random_ids, mask_id, never = given = riddle(random, rows, length)
        open_to_all = lots < 0.15
        chosen = open_to_all & ~np.isin(ids, never)
        rest = kinds, ids, random_ids, mask_id
        after = np.where(kinds < 0.8, random_ids, np.where(kinds < 0.9, mask_id, ids))
        mistakes = {
            "Special tokens and padding are hidden too; those in ``never`` are not chosen.": shown_where(
                open_to_all, *rest
            ),
            "Padding is left alone, but other special tokens are hidden.": shown_where(open_to_all & (ids != 0), *rest),
            "Only the ids in ``never`` are chosen.": shown_where(open_to_all & np.isin(ids, never), *rest),
            "All tokens are chosen: the lot decides, below 0.15.": shown_where(~np.isin(ids, never), *rest),
            "85% are chosen instead of 15%: a lot below 0.15 chooses.": shown_where(
                (lots >= 0.15) & ~np.isin(ids, never), *rest
            ),
            "All chosen tokens are masked; 10% become random ones, and 10% stay.": np.where(chosen, mask_id, ids),
            "None of the chosen tokens stays: those with a kind of 0.9 or more do.": shown_where(
                chosen, *rest, second=2.0
            ),
            "No token becomes a random one: those with a kind from 0.8 to 0.9 do.": shown_where(
                chosen, *rest, second=0.0
            ),
            "Random and unchanged tokens have changed places: random from 0.8 to 0.9, unchanged from 0.9 on.": np.where(
                chosen, np.where(kinds < 0.8, mask_id, np.where(kinds < 0.9, ids, random_ids)), ids
            ),
            "Masked and random tokens have changed places: most are masked.": np.where(chosen, after, ids),
            "Nothing is hidden.": ids,
        }
        shown, _ = two_of(answer(*given), ids.shape)
        close(
            shown, shown_where(chosen, *rest), "Check who is chosen, and the three kinds.", mistakes, atol=0.1, rtol=0
        )


@hiding.check(points=2)
def labels_what_was_chosen(answer, random):
    """A label is the token that stood there where one was chosen, and 0 elsewhere."""
    ids, lots, kinds, random_ids, mask_id, never = given = riddle(random, 5, 60)
    open_to_all = lots < 0.15
    chosen = open_to_all & ~np.isin(ids, never)
    shown = shown_where(chosen, kinds, ids, random_ids, mask_id)
    mistakes = {
        "All tokens have labels: those that were not chosen are no riddle; their label is 0.": ids,
        "The labels are what is shown; what stood there before is to be guessed.": np.where(chosen, shown, 0),
        "Chosen tokens that stay have no label; they are riddles too.": np.where(chosen & (kinds < 0.9), ids, 0),
        "Only masked tokens have labels; random and unchanged ones are riddles too.": np.where(
            chosen & (kinds < 0.8), ids, 0
        ),
        "Special tokens have labels; those in ``never`` are not chosen.": np.where(open_to_all, ids, 0),
        "The labels stand where nothing was chosen.": np.where(chosen, 0, ids),
        "The labels are 0 and 1; the ids of the tokens are wanted.": chosen,
        "Elsewhere the label is -100; here it is 0.": np.where(chosen, ids, -100),
        "Elsewhere the label is -1; here it is 0.": np.where(chosen, ids, -1),
    }
    _, labels = two_of(answer(*given), ids.shape)
    close(labels, np.where(chosen, ids, 0), "The label is the token that stood there.", mistakes, atol=0.1, rtol=0)


cosine = Exercise("cosine_rate", section="D2")


@cosine.check(points=2)
def rises_and_falls(answer, random):
    """A line up to the peak, half a cosine down to the final rate."""
    for steps, warmup, peak, final in ((20, 4, 1.0, 0.1), (50, 5, 8e-3, 1.6e-4), (9, 0, 0.3, 0.0)):
        places = np.arange(steps + 1)
        found = np.array([array(answer(int(s), steps, warmup, peak, final), (), "One number.") for s in places])
        rising = places < warmup
        x = np.where(rising, 0, (places - warmup) / (steps - warmup))
        line = peak * places / max(warmup, 1)

        def rate(fall: np.ndarray, rising=rising, line=line) -> np.ndarray:
            return np.where(rising, line, fall)

        half = (1 + np.cos(np.pi * x)) / 2
        right = rate(final + (peak - final) * half)
        mistakes = {
            "There is no warm-up: the cosine goes on to the left of the peak.": final
            + (peak - final) * (1 + np.cos(np.pi * (places - warmup) / (steps - warmup))) / 2,
            "There is no warm-up, and the cosine begins at step 0.": final
            + (peak - final) * (1 + np.cos(np.pi * places / steps)) / 2,
            "Before the end of the warm-up the rate is the peak: it rises in a line from 0.": np.where(
                rising, peak, right
            ),
            "The warm-up begins above 0: at step 0 the rate is 0.": np.where(
                rising, peak * (places + 1) / max(warmup, 1), right
            ),
            "The fall is a line; half a cosine is wanted.": rate(final + (peak - final) * (1 - x)),
            "The share x begins at step 0: the rate jumps at the end of the warm-up.": rate(
                final + (peak - final) * (1 + np.cos(np.pi * places / steps)) / 2
            ),
            "The fall takes all steps, and does not end at step ``steps``: the warm-up is among them.": rate(
                final + (peak - final) * (1 + np.cos(np.pi * (places - warmup) / steps)) / 2
            ),
            "A whole cosine falls and rises again; half of one, up to π, is wanted.": rate(
                final + (peak - final) * (1 + np.cos(2 * np.pi * x)) / 2
            ),
            "A quarter of a cosine: x goes up to π, with (1 + cos) / 2.": rate(
                final + (peak - final) * np.cos(np.pi * x / 2)
            ),
            "The fall ends at 0 instead of the final rate.": rate(peak * half),
            "The final rate is added, so that the peak is passed: the factor is peak - final.": rate(
                final + peak * half
            ),
            "The sign of the cosine is turned: the rate rises from final to the peak.": rate(
                final + (peak - final) * (1 - half)
            ),
            "The division by 2 is missing: 1 + cos begins at 2.": rate(final + (peak - final) * 2 * half),
        }
        scaled = {sentence: np.asarray(wrong) / peak for sentence, wrong in mistakes.items()}
        close(found / peak, right / peak, f"With {steps} steps and a warm-up of {warmup} it is wrong.", scaled)


@cosine.check(points=1)
def stays_at_the_end(answer, random):
    """Beyond the last step the rate stays at the final one."""
    for beyond in (10, 11, 15, 20, 100):
        why = f"With 10 steps, step {beyond} has the final rate. Does the cosine rise again? x must not go beyond 1."
        close(answer(beyond, 10, 2, 1.0, 0.2), 0.2, why)
    late = float(array(answer(9, 10, 2, 1.0, 0.2), (), "One number."))
    holds(0.2 < late < 0.3, "One step before the last, the rate is a little above the final one.")


turning = Exercise("rotate", section="D2")


def rotated(x: np.ndarray, start: int = 0, sign: int = 1, base: float = 10_000.0, step: int = 2) -> np.ndarray:
    length, width = x.shape
    angles = (start + np.arange(length))[:, None] * base ** (-step * np.arange(width // 2) / width)
    u, v = np.split(x, 2, axis=1)
    sines, cosines = sign * np.sin(angles), np.cos(angles)
    return np.concatenate([u * cosines - v * sines, v * cosines + u * sines], axis=1)


@turning.check(points=2)
def turns_each_pair(answer, random):
    """Pair i of position p turns by p / 10000^(2i/d)."""
    for length, width, start in ((5, 8, 0), (4, 2, 0), (3, 6, 0), (4, 8, 17), (1, 4, 3)):
        x = random.normal(size=(length, width))
        apart = np.concatenate([x[:, 0::2], x[:, 1::2]], axis=1)
        turned = rotated(apart, start)
        interleaved = np.stack(np.split(turned, 2, axis=1), axis=-1).reshape(length, width)
        u, v = np.split(x, 2, axis=1)
        angles = (start + np.arange(length))[:, None] * 10_000.0 ** (-2 * np.arange(width // 2) / width)
        sines, cosines = np.sin(angles), np.cos(angles)
        mistakes = {
            "It turns the wrong way: u cos - v sin, v cos + u sin.": rotated(x, start, sign=-1),
            "Pair i is made of the numbers i and i + d/2; here neighbours, 2i and 2i + 1, are paired.": interleaved,
            "The numbers 2i and 2i + 1 are paired, and the halves not put back.": turned,
            "The start has no effect: the first row has the position start.": rotated(x),
            "The positions count from start + 1.": rotated(x, start + 1),
            "The exponent is 2i/d, not i/d.": rotated(x, start, step=1),
            "The exponent is 2i/d, not 4i/d.": rotated(x, start, step=4),
            "The sign in the second half is plus: v cos + u sin.": np.concatenate(
                [u * cosines - v * sines, v * cosines - u * sines], axis=1
            ),
            "The sign in the first half is minus: u cos - v sin.": np.concatenate(
                [u * cosines + v * sines, v * cosines + u * sines], axis=1
            ),
            "The second half is turned with the first half as it is after turning; use the one before.": np.concatenate(
                [u * cosines - v * sines, v * cosines + (u * cosines - v * sines) * sines], axis=1
            ),
            "All pairs turn equally fast; pair i turns by p / 10000^(2i/d).": rotated(x, start, step=0),
            "The halves have changed places.": np.roll(rotated(x, start), width // 2, axis=1),
            "Nothing is turned.": x,
        }
        why = f"Check the angles p / 10000^(2i/d), here with d = {width} and the positions from {start}."
        close(answer(x, start), rotated(x, start), why, mistakes)


@turning.check(points=1)
def only_distance_counts(answer, random):
    """Lengths stay, and a query and a key see how far they are apart, not where they stand."""
    x = random.normal(size=(6, 8))
    long = np.linalg.norm(array(answer(x, 5), (6, 8), "The shape stays."), axis=1)
    close(long, np.linalg.norm(x, axis=1), "A vector is not as long as before: a turn changes no length.")
    query, key = random.normal(size=(2, 1, 8))
    products = []
    for place in (0, 3, 40):
        ahead, behind = array(answer(query, place + 7), (1, 8), ""), array(answer(key, place), (1, 8), "")
        products.append(float((ahead * behind).sum()))
    close(
        products, np.full(3, products[0]), "Seven places apart, the product of query and key depends on where they are."
    )
    near = [
        float((array(answer(query, place), (1, 8), "") * array(answer(key, 0), (1, 8), "")).sum())
        for place in (0, 1, 5)
    ]
    holds(
        np.ptp(near) > 1e-3,
        "The product of query and key is the same at any distance: nothing turns, or the start has no effect.",
    )


scaling = Exercise("scaling_law", section="D4, section 3.1", seconds=15)


class World:
    """A formula that stands for trainings: loss falls with weights and with tokens. It notes what is measured."""

    def __init__(self, random) -> None:
        self.powers = random.uniform(0.15, 0.35, 2)
        self.factors = random.uniform(0.8, 2, 2)
        self.noise = random.uniform(1, 9, 3)
        self.calls: list[tuple[float, float]] = []
        self.sizes = [float(round(size)) for size in np.geomspace(3e4, 3e7, 13)]
        self.budgets = np.geomspace(2e12, 2e15, 6).tolist()

    def loss(self, weights: float, tokens: float) -> float:
        n, d = math.log(weights / 1e6), math.log(tokens / 1e7)
        clean = self.factors[0] * math.exp(-self.powers[0] * n) + self.factors[1] * math.exp(-self.powers[1] * d)
        return clean * math.exp(0.004 * math.sin(self.noise[0] * n + self.noise[1] * d + self.noise[2]))

    def measure(self, weights: float, tokens: float) -> float:
        self.calls.append((float(weights), float(tokens)))
        return self.loss(float(weights), float(tokens))

    def table(self, six: float = 6.0) -> np.ndarray:
        """Losses, one row a budget."""
        return np.array([[self.loss(size, budget / (six * size)) for size in self.sizes] for budget in self.budgets])


def three_of(found, budgets: int) -> tuple[np.ndarray, float, float]:
    holds(
        isinstance(found, list | tuple) and len(found) == 3, "Return three: the best sizes, the factor, the exponent."
    )
    sizes = array(found[0], (budgets,), "One size for each budget.")
    return sizes, *(float(array(each, (), "The factor and the exponent are one number each.")) for each in found[1:])


@scaling.check(points=2)
def finds_the_best_sizes(answer, random):
    """Each budget has the size with the lowest loss, on C / (6 N) tokens."""
    for _ in range(2):
        world = World(random)
        sizes, *_ = three_of(answer(world.measure, world.sizes, world.budgets), len(world.budgets))
        holds(bool(world.calls), "Nothing was measured: call ``measure`` with weights and tokens.")
        spent = np.array([weights * tokens for weights, tokens in world.calls])
        fits = np.isclose(spent[:, None] * 6, np.array(world.budgets), rtol=1e-3)
        without = np.isclose(spent[:, None], np.array(world.budgets), rtol=1e-3)
        holds(
            not without.all(axis=0).any() and not (without.any(axis=1).all() and not fits.any(axis=1).all()),
            "Weights times tokens are C; the computation is 6 N D, so a size N reads C / (6 N) tokens.",
        )
        holds(
            bool(fits.any(axis=1).all()),
            "A measurement has another computation than one of the budgets: 6 x weights x tokens = C.",
        )
        holds(len(spent) <= 1.5 * len(world.sizes) * len(world.budgets), "Each pair is to be measured once.")
        table = world.table()
        places = np.arange(len(world.sizes))
        mistakes = {
            "These are the sizes with the highest loss.": np.array(world.sizes)[table.argmax(axis=1)],
            "These are places in the list; the sizes themselves are wanted.": places[table.argmin(axis=1)],
            "These are the losses; the sizes are wanted.": table.min(axis=1),
            "It is one size for all budgets, the best of the last; each budget has its own.": np.full(
                len(world.budgets), world.sizes[table[-1].argmin()]
            ),
            "It is the largest size each time: with little computation it reads too few tokens.": np.full(
                len(world.budgets), world.sizes[-1]
            ),
            "These are numbers of tokens; the sizes are wanted.": np.array(world.budgets)
            / (6 * np.array(world.sizes)[table.argmin(axis=1)]),
        }
        right = np.array(world.sizes)[table.argmin(axis=1)]
        close(sizes, right, "For each budget take the size with the lowest loss.", mistakes)


@scaling.check(points=2)
def fits_what_it_measured(answer, random):
    """The line through the logarithms of the best losses."""
    for _ in range(2):
        world = World(random)
        _, factor, exponent = three_of(answer(world.measure, world.sizes, world.budgets), len(world.budgets))
        x, table = np.log(world.budgets), world.table()
        slope, intercept = np.polyfit(x, np.log(table.min(axis=1)), 1)
        right = (math.exp(intercept), slope)
        every = np.polyfit(np.repeat(x, table.shape[1]), np.log(table.ravel()), 1)
        straight = np.polyfit(np.exp(x), table.min(axis=1), 1)
        half = np.polyfit(x, table.min(axis=1), 1)
        mistakes = {
            "Factor and exponent have changed places: the factor first.": right[::-1],
            "The factor is a logarithm still: take exp of it.": (intercept, slope),
            "The exponent has lost its minus sign: the loss falls.": (right[0], -slope),
            "The line goes through the losses of all sizes; take the best of each budget.": (
                math.exp(every[1]),
                every[0],
            ),
            "The line goes through the numbers themselves; take the logarithms of both.": (straight[1], straight[0]),
            "Only the computation is a logarithm; take that of the loss as well.": (half[1], half[0]),
            "Only the computation is a logarithm; take that of the loss as well, before the fit.": (
                math.exp(min(half[1], 700)),
                half[0],
            ),
            "The logarithms have base 10, and the factor was taken back with exp: use 10 to the power of it.": (
                math.exp(intercept / math.log(10)),
                slope,
            ),
            "Loss and computation have changed places in the fit.": (
                lambda line: (math.exp(min(line[1], 700)), line[0])
            )(np.polyfit(np.log(table.min(axis=1)), x, 1)),
        }
        why = f"The best losses lie on {right[0]:.3g} · C^{slope:.4f}; {factor:.3g} and {exponent:.4f} are not close."
        close((factor, exponent), right, why, mistakes, rtol=0.02, atol=0)


@scaling.check(points=1)
def goes_on_beyond(answer, random):
    """Where nothing was measured, at four times the computation, the law is right within 3%."""
    world = World(random)
    _, factor, exponent = three_of(answer(world.measure, world.sizes, world.budgets), len(world.budgets))
    holds(exponent < 0, "More computation gives a lower loss: the exponent is below 0.")
    more = 4 * world.budgets[-1]
    there = min(world.loss(size, more / (6 * size)) for size in world.sizes)
    told = factor * more**exponent
    why = f"At four times the largest budget the law says {told:.3g}, and the best of the sizes has {there:.3g}."
    holds(abs(told / there - 1) < 0.03, why)

"""What the grader runs for the exercises of chapter 7; B, T, D, r, L, n, C as there."""

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same


def pair(found, what: str):
    """The two things that were returned."""
    holds(isinstance(found, list | tuple | np.ndarray) and len(found) == 2, f"Return two: {what}.")
    return found


low_rank = Exercise("lora", section="D2")


def draw_lora(random, batch: int, fan_in: int, fan_out: int, rank: int):
    shapes = ((batch, fan_in), (fan_in, fan_out), (fan_in, rank), (rank, fan_out))
    return [random.normal(size=shape) for shape in shapes]


@low_rank.check(points=1)
def corrects_the_output(answer, random):
    """The output is x (W + α/r · A B)."""
    for batch, fan_in, fan_out, rank, alpha in ((2, 6, 5, 3, 16.0), (4, 4, 4, 1, 0.5), (1, 8, 3, 2, 2.0)):
        x, kernel, a, b = draw_lora(random, batch, fan_in, fan_out, rank)
        correction = a @ b
        mistakes = {
            "The factor α/r is missing.": x @ (kernel + correction),
            "The correction is multiplied by α, and not divided by r.": x @ (kernel + alpha * correction),
            "The correction is divided by r, and not multiplied by α.": x @ (kernel + correction / rank),
            "The factor is r/α instead of α/r.": x @ (kernel + rank / alpha * correction),
            "α is divided by D_in; r is the number of columns of A.": x @ (kernel + alpha / fan_in * correction),
            "The correction has no effect.": x @ kernel,
            "The correction is subtracted.": x @ (kernel - alpha / rank * correction),
            "W itself is in the correction: it counts twice.": x @ (2 * kernel + alpha / rank * correction),
        }
        output, _ = pair(answer(x, kernel, a, b, alpha), "the output and the merged kernel")
        close(output, x @ (kernel + alpha / rank * correction), "The output is x (W + α/r · A B).", mistakes)


@low_rank.check(points=1)
def merges(answer, random):
    """The merged kernel alone gives the same output; B = 0 leaves the model as it was."""
    x, kernel, a, b = draw_lora(random, 3, 7, 4, 2)
    output, merged = pair(answer(x, kernel, a, b, 5.0), "the output and the merged kernel")
    close(merged, kernel + 2.5 * a @ b, "The merged kernel is W + α/r · A B.")
    close(x @ array(merged, (7, 4), "It has the shape of W."), output, "Merged, the model gives other outputs.")
    _, begun = pair(answer(x, kernel, a, 0 * b, 5.0), "the output and the merged kernel")
    close(begun, kernel, "With B = 0, as training begins, the kernel is W itself.")


counted = Exercise("count_trained", section="D2")

MODEL = {
    "embedding/table": (100, 8),
    "block_1/query_kernel": (8, 8),
    "block_1/query_bias": (8,),
    "block_1/value_kernel": (8, 12),
    "block_1/norm/beta": (8,),
    "block_2/query_kernel": (8, 8),
    "block_2/value_kernel": (8, 12),
    "block_2/value_bias": (12,),
    "head/kernel": (8, 3),
    "head/bias": (3,),
    "temperature": (),
}


@counted.check(points=2)
def counts_what_is_trained(answer, random):
    """Whole weights, and A and B of the targets."""
    whole = sum(int(np.prod(shape)) for shape in MODEL.values())
    cases = (
        (["head/"], ["query_kernel", "value_kernel"], 4),
        (["bias", "beta"], [], 8),
        (["head/"], ["query"], 2),  # query_bias is no matrix: frozen
        ([""], [], 1),
        ([], ["table", "block_2/"], 3),
        ([], [], 2),
    )
    found, right = [], []
    mistakes: dict[str, list[int]] = {}
    for trained, targets, rank in cases:
        as_it_is = [s for path, s in MODEL.items() if any(part in path for part in trained)]
        corrected = [s for path, s in MODEL.items() if any(part in path for part in targets)]
        matrices = [s for s in corrected if len(s) == 2]
        plainly, kernels = (sum(int(np.prod(s)) for s in shapes) for shapes in (as_it_is, matrices))
        thin = sum(rank * sum(s) for s in matrices)
        for sentence, wrong in {
            "The head, or what else is trained as it is, is not counted: only A and B are.": thin,
            "The corrected kernels are counted whole; they are frozen, and only A and B are trained.": plainly
            + kernels,
            "Frozen kernels are counted beside their A and B.": plainly + thin + kernels,
            "A and B are not counted.": plainly,
            "Only A is counted: B has r x D_out numbers.": plainly + sum(rank * s[0] for s in matrices),
            "Only B is counted: A has D_in x r numbers.": plainly + sum(rank * s[1] for s in matrices),
            "A and B are counted as the size of the kernel times r; A has D_in x r numbers, and B r x D_out.": plainly
            + rank * kernels,
            "A weight with one axis has got A and B; only a matrix can have them.": plainly
            + sum(rank * sum(s) for s in corrected),
            "All weights are counted.": whole,
            "The rank is left out.": plainly + sum(sum(s) for s in matrices),
        }.items():
            mistakes.setdefault(sentence, []).append(wrong)
        found.append(
            array(pair(answer(MODEL, trained, targets, rank), "trained numbers, all numbers")[0], (), "Count.")
        )
        right.append(plainly + thin)
    place = int(np.argmax(np.array(found) != right))
    why = "With trained={}, targets={}, rank={} the count is wrong.".format(*cases[place])
    close(found, right, why, mistakes, rtol=0, atol=0.1)


@counted.check(points=1)
def counts_all(answer, random):
    """The second number is the size of the model."""
    sides = random.integers(2, 9, 4).tolist()
    shapes = {"a/kernel": (sides[0], sides[1]), "a/bias": (sides[1],), "b": (sides[2], sides[3], 2), "scale": ()}
    right = sum(int(np.prod(shape)) for shape in shapes.values())
    mistakes = {
        "A and B are no part of the model: count its own weights alone.": right + 3 * sum(sides[:2]),
        "A weight of the shape () is one number.": right - 1,
        "The sides of a weight are added; its size is their product.": sum(sum(shape) for shape in shapes.values()),
    }
    _, found = pair(answer(shapes, ["bias"], ["a/kernel"], 3), "the trained numbers and all numbers")
    close(found, right, "The second number counts each number of the model once.", mistakes, rtol=0, atol=0.1)


rates = Exercise("layer_rates", section="D2")


def head_rate(step: float, steps: int, warmup: int, peak: float) -> float:
    return peak * step / warmup if step < warmup else peak * (steps - step) / (steps - warmup)


@rates.check(points=2)
def rises_and_falls(answer, random):
    """The rate of the head rises in a line and falls in a line."""
    for steps, warmup, peak, layers in ((20, 5, 2e-4, 3), (100, 10, 1.0, 6), (7, 0, 0.5, 1)):
        places = np.arange(steps + 1)
        why = "The last number is the rate of the head; there are L + 2."
        found = [array(answer(int(s), steps, warmup, peak, layers, 0.8), (layers + 2,), why)[-1] for s in places]
        right = np.array([head_rate(s, steps, warmup, peak) for s in places])
        rise = np.minimum(places / max(warmup, 1), 1) if warmup else np.ones(len(places))
        falling = 1 - places / steps
        from_one = np.minimum((places + 1) / max(warmup, 1), 1)
        mistakes = {
            "There is no decay: after the warm-up the rate stays.": peak * rise,
            "There is no warm-up.": peak * falling,
            "There is no warm-up: the falling line goes on to the left, above the peak.": peak
            * (steps - places)
            / (steps - warmup),
            "The decay is spread over all steps: the rate jumps at the end of the warm-up. It falls from the peak, "
            "over steps - warmup updates.": np.where(places < warmup, peak * rise, peak * falling),
            "The warm-up and the decay are multiplied, so that the peak is never reached.": peak * rise * falling,
            "The rate does not reach 0 at the last step: the warm-up is among the steps, so the decay has only steps - "
            "warmup updates.": np.where(places < warmup, peak * rise, peak * (1 - (places - warmup) / steps)),
            "The warm-up begins above 0: at step 0 the rate is 0.": np.where(places < warmup, peak * from_one, right),
            "The last number is the rate of a layer below; the head, the last, has the whole rate.": 0.8 * right,
            "The rates stand upside down: the embedding comes first, the head last.": 0.8 ** (layers + 1) * right,
        }
        scaled = {sentence: np.asarray(wrong) / peak for sentence, wrong in mistakes.items()}
        close(np.array(found) / peak, right / peak, "Check the two lines of the head's rate.", scaled)


@rates.check(points=2)
def falls_with_the_depth(answer, random):
    """Each part has decay times the rate of what is above it."""
    for layers, decay in ((3, 0.5), (6, 0.8), (1, 0.9), (4, 1.0)):
        found = answer(4, 10, 4, 1.0, layers, decay)
        powers = np.arange(layers + 1, -1, -1)
        mistakes = {
            "The rates stand upside down: the embedding comes first, the head last.": decay ** powers[::-1],
            "The head has less than the rate: block L is the first on which the decay acts.": decay ** (powers + 1.0),
            "The rates rise further down: multiply by the decay, do not divide.": decay ** (-1.0 * powers),
            "The embedding has the rate of block 1; it is one further down.": decay ** np.minimum(powers, layers),
            "The head has the rate of block L; each block has decay times what is above it.": decay
            ** np.maximum(powers - 1, 0),
            "The rates fall by equal amounts; each is decay times the one above.": 1 - (1 - decay) * powers,
            "The layers have one rate: the decay has no effect.": np.ones(layers + 2),
        }
        close(
            found, decay**powers, f"With {layers} blocks there are {layers + 2} rates, decay^(L + 1) first.", mistakes
        )


pooling = Exercise("mean_of_tokens", section="D2")


@pooling.check(points=2)
def leaves_padding_out(answer, random):
    """The mean is over the real tokens alone."""
    for last in (0, 5):
        ids = np.array([[4, 7, 2, 0, 0], [9, 1, 1, 3, last], [6, 0, 0, 0, 0]])
        one_batch(answer, random, ids)


def one_batch(answer, random, ids):
    vectors = random.normal(2, 1, (3, 5, 4))
    real = (ids != 0)[:, :, None]
    right = (vectors * real).sum(1) / real.sum(1)
    mistakes = {
        "Padding counts: its vectors are in the mean.": vectors.mean(axis=1),
        "The sum is over real tokens, but it is divided by T: count the real ones.": (vectors * real).sum(1) / 5,
        "The sum of all vectors, padding too, is divided by the number of real tokens.": vectors.sum(1) / real.sum(1),
        "It is the sum; divide by the number of real tokens.": (vectors * real).sum(1),
        "It is the mean over the padding.": (vectors * ~real).sum(1) / np.maximum((~real).sum(1), 1),
        "It is the vector of [CLS] alone.": vectors[:, 0],
        "It is the vector of the last real token; the mean is wanted.": vectors[np.arange(3), real[:, :, 0].sum(1) - 1],
        "It is the largest number over the tokens; the mean is wanted.": np.where(real, vectors, -np.inf).max(1),
        "All texts are divided by one number; each has its own count.": (vectors * real).sum(1) / real.sum(),
        "All texts are divided by the same number, the mean of the counts.": (vectors * real).sum(1)
        / real.sum(1).mean(),
        "The mean weighs a token by its id; ids are names, not amounts.": (vectors * ids[:, :, None]).sum(1)
        / ids.sum(1)[:, None],
    }
    close(answer(vectors, ids), right, "Sum over the real tokens of a text, and divide by their number.", mistakes)


@pooling.check(points=1)
def padding_changes_nothing(answer, random):
    """More padding leaves a text's vector as it is."""
    for length, more, width in ((3, 4, 2), (1, 1, 6)):
        ids, vectors = random.integers(1, 9, (2, length)), random.normal(1, 1, (2, length + more, width))
        padded = np.pad(ids, ((0, 0), (0, more)))
        short = array(answer(vectors[:, :length], ids), (2, width), "One vector for each text.")
        close(short, vectors[:, :length].mean(1), "Without padding it is the plain mean.")
        close(answer(vectors, padded), short, "The same text with padding behind it has another vector.")


pairs = Exercise("pair_row", section="D2")

TEXTS = (
    ([11, 12, 13], [21, 22], 10),
    ([11, 12, 13, 14, 15, 16], [21, 22], 8),
    ([11], [21, 22, 23, 24, 25, 26, 27], 7),
    ([11, 12, 13, 14], [21, 22, 23, 24], 8),
    ([11, 12, 13, 14], [21, 22, 23, 24], 9),
    ([11, 12], [21, 22, 23], 8),
    ([11, 12, 13, 14, 15], [21, 22, 23], 3),
    ([], [21, 22], 6),
)


def row_of(first, second, length, cut="longer", tie="second") -> tuple[list[int], list[int]]:
    """The row, with other ways to cut for known mistakes."""
    first, second = list(first), list(second)
    while len(first) + len(second) + 3 > length:
        if cut == "longer":
            from_first = len(first) > len(second) or (len(first) == len(second) and tie == "first")
        else:
            from_first = bool(first) if cut == "first" else not second
        (first if from_first else second).pop()
    head, tail = [101, *first, 102], [*second, 102]
    padding = [0] * (length - len(head) - len(tail))
    return head + tail + padding, [0] * len(head) + [1] * len(tail) + padding


def cut_at_the_beginning(first, second, length) -> list[int]:
    ids = row_of(first, second, length)[0]
    kept = [sum(i // 10 == side for i in ids if i < 100) for side in (1, 2)]
    first, second = first[len(first) - kept[0] :], second[len(second) - kept[1] :]
    row = [101, *first, 102, *second, 102]
    return row + [0] * (length - len(row))


@pairs.check(points=2)
def frames_and_cuts(answer, random):
    """[CLS] first [SEP] second [SEP], the longer text cut."""
    for first, second, length in TEXTS:
        found, _ = pair(answer(first, second, length, 101, 102), "the ids and the segments")
        whole = [101, *first, 102, *second, 102]
        right = row_of(first, second, length)[0]
        mistakes = {
            "The row is cut at its end, with the last [SEP]: cut the texts, the special tokens stay.": whole[:length],
            "The row is longer than T: cut the longer text.": whole,
            "The row is shorter than T: pad it with 0.": [i for i in right if i],
            "The last [SEP] is missing.": [i for i in right if i][:-1] + [0] * (1 + right.count(0)),
            "Only the second text is cut, although the first is longer.": row_of(first, second, length, "second")[0],
            "Only the first text is cut, although the second is longer.": row_of(first, second, length, "first")[0],
            "When both texts are equally long, the second loses a token.": row_of(first, second, length, tie="first")[
                0
            ],
            "A text is cut at its beginning; it loses its end.": cut_at_the_beginning(first, second, length),
            "The padding stands in front; it belongs at the end.": [0] * right.count(0) + [i for i in right if i],
            "There is no [SEP] between the texts.": [101, *first, *second, 102] + [0] * (length - len(whole) + 1),
        }
        same(found, right, f"For {first}, {second} and T = {length} the ids are wrong.", mistakes)


@pairs.check(points=1)
def numbers_the_segments(answer, random):
    """The segments are 0 for the first text, 1 for the second, and 0 at padding."""
    for first, second, length in TEXTS:
        own_ids, found = pair(answer(first, second, length, 101, 102), "the ids and the segments")
        ids, right = row_of(first, second, length)
        if len(first) + len(second) + 3 > length and list(own_ids) != ids:
            continue  # cut elsewhere, which the other check says
        real = len([i for i in ids if i])
        begin = right.index(1)
        mistakes = {
            "The padding has segment 0.": right[:real] + [1] * (length - real),
            "The [SEP] behind the first text belongs to the first text.": [
                int(s or place == begin - 1) for place, s in enumerate(right)
            ],
            "The last [SEP] belongs to the second text.": [int(s and n < real - 1) for n, s in enumerate(right)],
            "The segments are numbered from 1; they are 0 and 1.": [s + 1 for s in right],
            "The segments have changed places.": [1 - s if n < real else 0 for n, s in enumerate(right)],
            "The segments are not padded to T.": right[:real],
            "All tokens have segment 0: the second text has 1.": [0] * length,
        }
        same(found, right, f"For {first}, {second} and T = {length} the segments are wrong.", mistakes)


thresholds = Exercise("best_thresholds", section="D4, section 3.2", seconds=10)


def f1_at(truth: np.ndarray, chances: np.ndarray, threshold: float) -> float:
    given = chances >= threshold
    total = given.sum() + truth.sum()
    return float(2 * (given & (truth == 1)).sum() / total) if total else 0.0


def draw_labels(random, texts: int, frequencies) -> tuple[np.ndarray, np.ndarray]:
    labels = (random.random((texts, len(frequencies))) < frequencies).astype(int)
    labels[:2] = [[1], [0]]  # at least one of each
    logits = random.normal(0, 1, labels.shape) + 1.5 * labels - 2 * random.random(len(frequencies))
    return labels, 1 / (1 + np.exp(-logits))


@thresholds.check(points=3)
def reaches_the_best_f1(answer, random):
    """Each label has the best F1 that a threshold can give it."""
    cases = [(np.array([[0], [1], [1], [0]]), np.array([[0.1], [0.3], [0.9], [0.2]]))]
    cases += [(np.array([[1], [0], [1]]), np.array([[0.4], [0.4], [0.4]]))]
    cases += [draw_labels(random, texts, [0.1, 0.3, 0.6, 0.2]) for texts in (12, 60, 120)]
    for labels, chances in cases:
        found = array(answer(labels, chances), labels.shape[1:], "One threshold for each label.")
        for column, threshold in enumerate(found):
            truth, of_label = labels[:, column], chances[:, column]
            tried = [f1_at(truth, of_label, each) for each in of_label]
            best, reached = max(tried), f1_at(truth, of_label, threshold)
            if reached >= best - 1e-9 or f1_at(truth, of_label, np.float32(threshold) - 1e-6) >= best - 1e-9:
                continue  # the second: a threshold that was rounded to float32
            holds(
                f1_at(truth, of_label, np.nextafter(threshold, 2)) < best - 1e-9,
                "The F1 would be best if a label were given above the threshold alone; it is given at the threshold "
                "too (>=, not >).",
            )
            right = [np.mean((of_label >= each) == truth) for each in of_label]
            holds(
                not np.isclose(np.mean((of_label >= threshold) == truth), max(right)),
                f"This threshold has the best accuracy, and the F1 {reached:.3f}; another has the F1 {best:.3f}.",
            )
            holds(
                len(found) == 1 or len(set(found.tolist())) > 1,
                "All labels have one threshold; each wants its own.",
            )
            holds(threshold != 0.5, f"0.5 gives a label the F1 {reached:.3f}; another threshold gives it {best:.3f}.")
            why = f"Label {column} has the F1 {reached:.3f} with the threshold {threshold:.3f}"
            holds(False, f"{why}; it can have {best:.3f}.")


@thresholds.check(points=1)
def bears_a_label_without_texts(answer, random):
    """A label that no text has gets 0.5."""
    labels, chances = draw_labels(random, 10, [0.4, 0.4, 0.4])
    labels[:, 1] = 0
    found = array(answer(labels, chances), (3,), "One threshold for each label.")
    holds(np.isclose(found[1], 0.5), f"No text has label 1, and no threshold is better: 0.5, not {found[1]:.3f}.")
    for column in (0, 2):
        best = max(f1_at(labels[:, column], chances[:, column], each) for each in chances[:, column])
        reached = f1_at(labels[:, column], chances[:, column], np.float32(found[column]) - 1e-6)
        holds(reached >= best - 1e-9, f"Label {column} has the F1 {reached:.3f}; it can have {best:.3f}.")


averages = Exercise("micro_and_macro_f1", section="D4, section 3.2")


def all_f1(labels: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    hits, total = (labels & given).sum(0), labels.sum(0) + given.sum(0)
    each = np.where(total > 0, 2 * hits / np.maximum(total, 1), 0)
    return float(2 * hits.sum() / max(total.sum(), 1)), float(each.mean())


def draw_given(random, texts: int, frequencies) -> tuple[np.ndarray, np.ndarray]:
    labels = (random.random((texts, len(frequencies))) < frequencies).astype(int)
    wrong = random.random(labels.shape) < np.linspace(0.05, 0.4, len(frequencies))
    return labels, np.where(wrong, 1 - labels, labels)


@averages.check(points=2)
def averages_both_ways(answer, random):
    """Micro F1 counts all decisions alike, macro F1 all labels."""
    for texts, frequencies in ((40, [0.7, 0.2, 0.1]), (25, [0.5]), (60, [0.1, 0.3, 0.5, 0.8])):
        labels, given = draw_given(random, texts, frequencies)
        labels[0], given[0] = 1, 1  # each label has a hit, so that nothing is 0 / 0
        micro, macro = right = all_f1(labels, given)
        hits, true, said = (labels & given).sum(0), labels.sum(0), given.sum(0)
        accuracy = (labels == given).mean()
        precision, recall = hits / said, hits / true
        of_means = 2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean())
        samples = all_f1(labels.T, given.T)[1]
        weighted = float((2 * hits / (true + said) * true).sum() / true.sum())
        mistakes = {
            "The two have changed places: micro first.": (macro, micro),
            "Both are the micro average; macro is the mean of the F1 of each label.": (micro, micro),
            "Both are the macro average; micro counts all decisions together.": (macro, macro),
            "Micro is the accuracy of all decisions; what is neither true nor given does not count in F1.": (
                accuracy,
                macro,
            ),
            "Macro is the F1 of the mean precision and the mean recall; take the mean of the F1.": (micro, of_means),
            "Macro averages over the texts instead of the labels.": (micro, samples),
            "Macro weighs each label by its frequency; a rare label counts as much.": (micro, weighted),
            "These are precisions.": (hits.sum() / said.sum(), precision.mean()),
            "These are recalls.": (hits.sum() / true.sum(), recall.mean()),
            "The factor 2 is missing above the line.": (micro / 2, macro / 2),
            "TP / (TP + FP + FN) is another measure (Jaccard): TP counts twice in F1, above and below the line.": (
                hits.sum() / (true + said - hits).sum(),
                (hits / (true + said - hits)).mean(),
            ),
        }
        close(answer(labels, given), right, "F1 = 2 TP / (2 TP + FP + FN); micro, then macro.", mistakes)


@averages.check(points=1)
def bears_nothing(answer, random):
    """F1 is 0 for a label that is neither true nor given."""
    labels, given = draw_given(random, 12, [0.4, 0.4, 0.3, 0.5])
    labels[:, 2] = given[:, 2] = 0
    micro, macro = all_f1(labels, given)
    why = "One label is neither true nor given: its F1, 0 / 0, counts as 0, and it is one of the labels."
    mistakes = {
        "A label that is neither true nor given has left the mean; its F1 is 0.": (micro, macro * 4 / 3),
        "A label that is neither true nor given has the F1 1; here it is 0.": (micro, macro + 0.25),
    }
    close(answer(labels, given), (micro, macro), why, mistakes)
    nothing = np.zeros((3, 2), int)
    close(answer(nothing, nothing), (0, 0), "Where no label is true and none given, both are 0.")


buckets = Exercise("length_buckets", section="D2", seconds=15)


def padded_tokens(lengths: np.ndarray, ends) -> int:
    ends = np.asarray(ends)
    return int(ends[np.searchsorted(ends, lengths)].sum())


def fewest_tokens(lengths: np.ndarray, count: int) -> int:
    """What the best ends need: the buckets are added one by one."""
    sizes, texts = np.unique(lengths, return_counts=True)
    before = np.concatenate([[0], np.cumsum(texts)])
    tokens = np.where(before == 0, 0.0, np.inf)  # for the so many smallest sizes
    cost = (before[None, 1:] - before[:-1, None]) * sizes[None].astype(float)  # (from, to)
    cost[np.tril_indices(len(sizes), -1)] = np.inf
    for _ in range(count):
        tokens = np.concatenate([[0], np.minimum(tokens[1:], (tokens[:-1, None] + cost).min(axis=0))])
    return int(tokens[-1])


def draw_lengths(random) -> list[tuple[np.ndarray, int]]:
    long_tail = np.minimum(3 + random.geometric(0.08, 400), 64)
    two_kinds = np.concatenate([random.integers(5, 9, 300), random.integers(40, 60, 40), [64]])
    few = random.integers(1, 64, 25)
    return [(long_tail, 3), (two_kinds, 2), (few, 5), (long_tail[:80], 1), (two_kinds, 4), (np.full(9, 7), 3)]


def ends_of(answer, lengths: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Ends that hold all texts, and the share that is said to be saved."""
    found, saved = pair(answer(lengths, count), "the ends and the share that is saved")
    ends = array(found, np.shape(found), "The ends are a list of numbers.")
    holds(ends.ndim == 1 and len(ends) >= 1, "The ends are a list of at least one number.")
    holds(len(ends) <= count, f"There are {len(ends)} ends, and {count} are allowed.")
    holds(bool((np.diff(ends) > 0).all()), "The ends have to rise, each larger than the one before.")
    holds(ends[0] >= 1 and bool((ends == np.round(ends)).all()), "Ends are whole numbers of tokens, 1 or more.")
    holds(ends[-1] >= lengths.max(), "The longest text fits into no bucket.")
    holds(ends[-1] == lengths.max(), "The last end is longer than the longest text: that pads for nothing.")
    return ends.astype(int), float(array(saved, (), "The share that is saved is one number."))


@buckets.check(points=2)
def measures_the_saving(answer, random):
    """The share is what these ends save."""
    for lengths, count in draw_lengths(random):
        ends, saved = ends_of(answer, lengths, count)
        whole, tokens = len(lengths) * int(lengths.max()), padded_tokens(lengths, ends)
        mistakes = {
            "This is the share that is left; what is saved is 1 minus that.": tokens / whole,
            "This compares with the tokens of your buckets; compare with rows padded to the longest text.": whole
            / tokens
            - 1,
            "This is a number of tokens; the share of all is wanted.": whole - tokens,
            "This is a percentage; a share is between 0 and 1.": 100 * (1 - tokens / whole),
            "This is the share of the padding that is saved; the share of all tokens, padding included, is wanted.": (
                whole - tokens
            )
            / max(whole - lengths.sum(), 1),
            "This is the share of padding in your buckets.": 1 - lengths.sum() / tokens,
            "This is the share of padding without buckets, which no buckets save altogether.": 1
            - lengths.sum() / whole,
        }
        close(saved, 1 - tokens / whole, f"The ends {ends.tolist()} save another share.", mistakes, atol=1e-3)
        why = "These ends save less than half of what the best ones do, so there is little to measure."
        holds(whole - tokens >= (whole - fewest_tokens(lengths, count)) / 2, why)


@buckets.check(points=2)
def saves_much(answer, random):
    """The ends save nearly as much as the best ones."""
    for lengths, count in draw_lengths(random):
        ends, _ = ends_of(answer, lengths, count)
        whole, tokens = len(lengths) * int(lengths.max()), padded_tokens(lengths, ends)
        saved, possible = whole - tokens, whole - fewest_tokens(lengths, count)
        why = f"With {count} buckets, {saved / whole:.1%} of the tokens are saved; {possible / whole:.1%} are possible."
        holds(saved >= 0.97 * possible, why)

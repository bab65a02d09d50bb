"""Three ways to make rectangles of token ids: padding, buckets, packing. None loses a token, all teach the same."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_llm.data import attention_mask, batches, bucket_batches, next_tokens, pack, pad_sequences_to, wasted

DOCUMENTS = st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=20), min_size=1, max_size=30).filter(any)
DRAW = np.random.default_rng(0)
TEXTS = [DRAW.integers(1, 20, length).tolist() for length in DRAW.integers(1, 13, 40)]
LABELS = np.arange(40)


@given(DOCUMENTS, st.integers(1, 24))
def test_packing_keeps_every_token_once_and_in_its_document(documents, sequence_length) -> None:
    packed = pack(documents, sequence_length)
    found = Counter()
    for ids, segments, positions in zip(packed.token_ids, packed.segment_ids, packed.positions, strict=True):
        lengths = np.bincount(segments)[1:]
        assert lengths.all()  # 1, 2, … without a gap,
        np.testing.assert_array_equal(segments[segments > 0], np.repeat(np.arange(len(lengths)) + 1, lengths))
        assert not segments[lengths.sum() :].any() and not ids[lengths.sum() :].any()  # and padding behind them
        for segment in range(1, len(lengths) + 1):
            found[tuple(ids[segments == segment].tolist())] += 1
            assert positions[segments == segment].tolist() == list(range(lengths[segment - 1]))
        assert not positions[segments == 0].any()
    pieces = [ids[i : i + sequence_length] for ids in documents for i in range(0, len(ids), sequence_length)]
    assert found == Counter(map(tuple, pieces))
    assert {a.dtype.name for a in (packed.token_ids, packed.segment_ids, packed.positions)} == {"int32"}


@given(DOCUMENTS, st.integers(1, 24))
def test_packing_wastes_no_more_than_padding_and_no_two_rows_fit_into_one(documents, sequence_length) -> None:
    packed = pack(documents, sequence_length)
    pieces = [ids[i : i + sequence_length] for ids in documents for i in range(0, len(ids), sequence_length)]
    assert wasted(packed.token_ids) <= wasted(pad_sequences_to(pieces, sequence_length))
    tokens = sorted((packed.segment_ids > 0).sum(axis=1))
    assert len(tokens) == 1 or tokens[0] + tokens[1] > sequence_length


def test_packing_takes_the_longest_first_into_the_fullest_row() -> None:
    packed = pack([[1] * 3, [2] * 6, [3] * 7, [4] * 12, []], 10)  # 3 fits behind 6 too, with more room left
    assert packed.token_ids.tolist() == [[4] * 10, [3] * 7 + [1] * 3, [2] * 6 + [4] * 2 + [0] * 2]


@pytest.mark.parametrize(
    ("documents", "length", "message"),
    [([[1]], 0, "at least 1"), ([], 4, "no tokens"), ([[]], 4, "no tokens"), ([[1], [2, 0]], 4, r"token_ids\[1\]")],
)
def test_what_cannot_be_packed(documents, length, message) -> None:
    with pytest.raises(ValueError, match=message):
        pack(documents, length)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_stays_within_the_document(causal) -> None:
    import keras

    segments = pack(TEXTS, 16).segment_ids
    mask = attention_mask(segments, causal)
    assert mask.shape == (len(segments), 16, 16) and mask.dtype == bool
    for (row, query, key), may in np.ndenumerate(mask):
        same = segments[row, query] == segments[row, key] != 0
        assert may == (same and (key <= query or not causal))
    np.testing.assert_array_equal(attention_mask(keras.ops.convert_to_tensor(segments), causal), mask)
    segment_ids = keras.Input((None,), dtype="int32")  # a length that is not yet known
    model = keras.Model(segment_ids, attention_mask(segment_ids, causal))
    np.testing.assert_array_equal(model(segments), mask)


def test_next_tokens_stop_at_the_end_of_each_document() -> None:
    inputs, labels = next_tokens(pack([[5, 6, 7], [8, 9], [4] * 6], 6))
    assert labels.tolist() == [[4, 4, 4, 4, 4, 0], [6, 7, 0, 9, 0, 0]] and labels.dtype == np.int32
    assert inputs["token_ids"].tolist() == [[4] * 6, [5, 6, 7, 8, 9, 0]]
    batch, targets = next(iter(batches(inputs, labels, batch_size=2)))
    assert batch.keys() == {"token_ids", "segment_ids", "positions"} and targets.shape == (2, 6)


def test_packed_documents_give_the_logits_and_the_loss_of_each_alone() -> None:
    import keras
    from keras import layers

    from keras_llm.training import SparseCrossentropy

    keras.utils.set_random_seed(0)
    names = ("token_ids", "segment_ids", "positions")
    given = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    x = layers.Embedding(20, 16)(given["token_ids"]) * 20 + layers.Embedding(16, 16)(given["positions"]) * 20
    mask = attention_mask(given["segment_ids"])
    for _ in range(2):
        x = x + layers.MultiHeadAttention(2, 8)(x, x, attention_mask=mask)
    model = keras.Model(given, layers.Dense(20)(x))  # (batch, time, 20)
    loss = SparseCrossentropy(ignore_class=0, reduction="sum")

    packed = pack(TEXTS, 16)
    inputs, labels = next_tokens(packed)
    logits = model(inputs).numpy()
    alone_loss = 0.0
    for text in TEXTS:
        alone, alone_labels = next_tokens(pack([text], 16))  # one document, then padding
        wanted = model(alone).numpy()[0, : len(text)]
        alone_loss += float(loss(alone_labels, model(alone)))
        same = [
            logits[row, packed.segment_ids[row] == segment]
            for row in range(len(packed))
            for segment in range(1, packed.segment_ids[row].max() + 1)
            if packed.token_ids[row, packed.segment_ids[row] == segment].tolist() == text
        ]
        assert same and all(np.allclose(found, wanted, rtol=1e-4, atol=1e-4) for found in same)
    packed_loss = float(loss(labels, logits))
    assert packed_loss == pytest.approx(alone_loss, rel=1e-5)

    # Without one of the three, it is not the same.
    one_document = {**inputs, "segment_ids": np.ones_like(packed.segment_ids)}
    no_restart = {**inputs, "positions": np.tile(np.arange(16, dtype="int32"), (len(packed), 1))}
    for wrong in (one_document, no_restart):
        assert float(loss(labels, model(wrong))) != pytest.approx(alone_loss, rel=1e-3)
    all_labels = np.pad(packed.token_ids[:, 1:], ((0, 0), (0, 1)))
    assert float(loss(all_labels, logits)) != pytest.approx(alone_loss, rel=1e-3)


@pytest.mark.parametrize("shuffle_seed", [None, 3])
@pytest.mark.parametrize("size", [{"batch_size": 4}, {"tokens_per_batch": 40}])
def test_buckets_drop_nothing_and_have_few_shapes(shuffle_seed, size) -> None:
    dataset = bucket_batches(TEXTS, LABELS, boundaries=(3, 6, 12), shuffle_seed=shuffle_seed, **size)
    sizes = {boundary: size.get("batch_size", 40 // boundary) for boundary in (3, 6, 12)}
    shapes = []
    for _ in range(2):  # epochs
        found = list(dataset.as_numpy_iterator())
        assert len(found) == int(dataset.cardinality())
        assert sorted(label for _, labels in found for label in labels.tolist()) == LABELS.tolist()
        for ids, labels in found:
            wanted = [TEXTS[label] for label in labels]
            assert ids.dtype == np.int32 and ids.shape[1] in sizes
            np.testing.assert_array_equal(ids, pad_sequences_to(wanted, ids.shape[1]))
            assert all(min(b for b in sizes if b >= len(text)) == ids.shape[1] for text in wanted)
        shapes.append({ids.shape for ids, _ in found})
        full = [ids.shape for ids, _ in found if len(ids) == sizes[ids.shape[1]]]
        assert len(found) - len(full) <= 3 and {len(ids) <= sizes[ids.shape[1]] for ids, _ in found} == {True}
    assert shapes[0] == shapes[1] and len(shapes[0]) <= 6
    assert wasted(ids for ids, _ in dataset) < wasted(pad_sequences_to(TEXTS, 12))


def test_buckets_shuffle_by_seed() -> None:
    def epoch(dataset) -> list[int]:
        return [label for _, labels in dataset.as_numpy_iterator() for label in labels.tolist()]

    options = {"boundaries": (6, 12), "batch_size": 4}
    one, again, other = (bucket_batches(TEXTS, LABELS, shuffle_seed=seed, **options) for seed in (1, 1, 3))
    first, second = epoch(one), epoch(one)
    assert [epoch(again), epoch(again)] == [first, second] and first != second and epoch(other) != first


def test_buckets_pad_the_labels_of_tokens_too() -> None:
    tags = [[2 * token for token in text] for text in TEXTS]
    for ids, labels in bucket_batches(TEXTS, tags, boundaries=(6, 12), batch_size=4):
        np.testing.assert_array_equal(labels, 2 * ids)
    for ids in bucket_batches(pad_sequences_to(TEXTS, 5), boundaries=(8,), batch_size=40):
        np.testing.assert_array_equal(ids, pad_sequences_to(pad_sequences_to(TEXTS, 5), 8))


def test_buckets_of_several_inputs_follow_the_longest_of_an_example() -> None:
    sources, targets = TEXTS, TEXTS[::-1]
    inputs = {"source_ids": sources, "target_ids": targets}
    dataset = bucket_batches(inputs, LABELS, boundaries=(6, 12), batch_size=4, shuffle_seed=0)
    seen = []
    for batch, rows in dataset.as_numpy_iterator():
        width = batch["source_ids"].shape[1]
        assert batch.keys() == inputs.keys() and {ids.dtype.name for ids in batch.values()} == {"int32"}
        for name, texts in inputs.items():
            np.testing.assert_array_equal(batch[name], pad_sequences_to([texts[row] for row in rows], width))
        longest = [max(len(sources[row]), len(targets[row])) for row in rows]
        assert all((length <= 6) == (width == 6) for length in longest)
        seen += rows.tolist()
    assert sorted(seen) == LABELS.tolist()
    tags = [[2 * token for token in text] for text in targets]  # as long as one of the two
    for batch, labels in bucket_batches(inputs, tags, boundaries=(6, 12), batch_size=4):
        np.testing.assert_array_equal(labels, 2 * batch["target_ids"])
    assert bucket_batches(inputs, boundaries=(12,), batch_size=4).element_spec.keys() == inputs.keys()


@pytest.mark.parametrize("size", [{"batch_size": 7}, {"tokens_per_batch": 40}])
def test_filled_buckets_have_one_shape_each_and_teach_the_same(size) -> None:
    inputs = {"source_ids": TEXTS, "target_ids": TEXTS[::-1]}
    tags = [[2 * token for token in text] for text in TEXTS[::-1]]
    options = {"boundaries": (3, 6, 12), "shuffle_seed": 0, **size}
    plain, filled = (
        list(bucket_batches(inputs, tags, fill=fill, **options).as_numpy_iterator()) for fill in (False, True)
    )
    assert len(filled) == len(plain)  # nothing but rows is added
    shapes = [batch["target_ids"].shape for batch, _ in filled]
    assert len(set(shapes)) == len({width for _, width in shapes}) < len({labels.shape for _, labels in plain})
    for (batch, labels), (batch_before, labels_before) in zip(filled, plain, strict=True):
        rows = len(labels_before)
        for after, before in ((labels, labels_before), *((batch[name], batch_before[name]) for name in inputs)):
            assert after.shape == batch["source_ids"].shape
            np.testing.assert_array_equal(after[:rows], before)
            assert not after[rows:].any()


@pytest.mark.parametrize("size", [{"batch_size": 7}, {"tokens_per_batch": 40}])
def test_filled_buckets_of_labelled_texts_repeat_texts_of_the_bucket(size) -> None:
    options = {"boundaries": (3, 6, 12), "shuffle_seed": 0, **size}
    plain, filled = (bucket_batches(TEXTS, LABELS, fill=fill, **options) for fill in (False, True))
    known = {(*text, label) for text, label in zip(TEXTS, LABELS.tolist(), strict=True)}
    added = []
    for _ in range(2):
        batches = list(filled.as_numpy_iterator())
        assert len({ids.shape for ids, _ in batches}) == len({ids.shape[1] for ids, _ in batches})
        for (ids, labels), (before, _) in zip(batches, plain.as_numpy_iterator(), strict=True):
            for row, label in zip(ids, labels, strict=True):
                assert (*row[row != 0].tolist(), int(label)) in known
            added.append(ids[len(before) :].tolist())
    assert any(added)
    assert added[: len(added) // 2] != added[len(added) // 2 :]  # others in the next epoch


def test_a_checkpoint_of_buckets_goes_on_where_it_was(tmp_path) -> None:
    import tensorflow as tf

    options = {"boundaries": (3, 6, 12), "batch_size": 4, "shuffle_seed": 1}
    iterators = [iter(bucket_batches(TEXTS, LABELS, **options)) for _ in range(2)]
    for _ in range(5):
        next(iterators[0])
    path = tf.train.Checkpoint(iterator=iterators[0]).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(iterator=iterators[1]).read(path)
    rest = [[labels.numpy().tolist() for _, labels in iterator] for iterator in iterators]
    assert rest[0] == rest[1] and len(rest[0]) >= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boundaries": (6, 11), "batch_size": 4}, r"token_ids\[\d+\] has 12 tokens, the last boundary is 11"),
        ({"boundaries": (), "batch_size": 4}, "ascending"),
        ({"boundaries": (12, 6), "batch_size": 4}, "ascending"),
        ({"boundaries": (12,)}, "give batch_size"),
        ({"boundaries": (12,), "batch_size": 0}, "give batch_size"),
        ({"boundaries": (12,), "batch_size": 4, "tokens_per_batch": 40}, "give batch_size"),
        ({"boundaries": (12,), "tokens_per_batch": 11}, "give batch_size"),
        ({"boundaries": (12,), "batch_size": 4, "labels": LABELS[:39]}, "a label for each"),
        ({"boundaries": (12,), "batch_size": 4, "labels": [[1]] * 40}, r"labels\[\d+\] has 1 labels for"),
        ({"boundaries": (12,), "batch_size": 4, "fill": True}, "fill needs labels"),
    ],
)
def test_buckets_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        bucket_batches(TEXTS, **options)


def test_inputs_of_buckets_have_one_size() -> None:
    with pytest.raises(ValueError, match="a, b must have one and the same number"):
        bucket_batches({"a": TEXTS, "b": TEXTS[1:]}, boundaries=(12,), batch_size=4)


def test_training_on_buckets_compiles_once_a_shape() -> None:
    import keras

    from keras_llm.training import fit

    train = bucket_batches(TEXTS, LABELS % 2, boundaries=(6, 12), batch_size=8, shuffle_seed=0)
    model = keras.Sequential([keras.layers.Embedding(20, 4, mask_zero=True), keras.layers.GlobalAveragePooling1D()])
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy")
    history = fit(model, train, epochs=3, verbose=0)
    assert history.program["traces"] <= len({ids.shape for ids, _ in train}) and len(history.history["loss"]) == 3


def test_wasted_counts_padding() -> None:
    ids = pad_sequences_to([[5, 6, 7], [8]], 4)
    assert wasted(ids) == wasted(ids != 0) == wasted([ids[:1], ids[1:, :2], ids[1:, 2:]]) == 0.5
    for nothing in (np.zeros((0, 4)), []):
        with pytest.raises(ValueError, match="empty"):
            wasted(nothing)

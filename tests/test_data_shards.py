"""Shards: what comes back is what went in, whole or not at all, and damage is found."""

import json
import os
import re
import struct
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm.data import batches, open_shards, pad_sequences_to, write_shards
from keras_llm.data.shards import Feature
from keras_llm.errors import InputError

DRAW = np.random.default_rng(0)
TOKEN_IDS = [DRAW.integers(1, 50, length).tolist() for length in [0, *DRAW.integers(1, 12, 24)]]  # 25 texts
ARRAYS = {
    "token_ids": pad_sequences_to(TOKEN_IDS, max(map(len, TOKEN_IDS))),
    "label": DRAW.integers(0, 3, 25).astype("int32"),
    "weight": DRAW.normal(size=25).astype("float32"),
    "vector": DRAW.normal(size=(25, 2, 3)).astype("float16"),
    "large": DRAW.integers(-(2**62), 2**62, (25, 1)),
    "known": DRAW.integers(0, 2, (25, 4)).astype(bool),
}


def rows(*names: str):
    for row in range(25):
        yield {name: TOKEN_IDS[row] if name == "token_ids" else ARRAYS[name][row] for name in names}


@pytest.fixture
def shards(tmp_path):
    return write_shards(rows("token_ids", "label"), tmp_path / "shards", examples_per_shard=10)


def assert_same_batches(found, wanted) -> None:
    import tensorflow as tf

    assert found.element_spec == wanted.element_spec
    for _ in range(2):  # epochs
        for one, other in zip_longest(found, wanted):
            tf.nest.assert_same_structure(one, other)
            for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("batch_size", [4, 5])
@pytest.mark.parametrize("shuffle_seed", [None, 7])
def test_batches_of_shards_are_those_of_the_arrays(tmp_path, batch_size, shuffle_seed) -> None:
    shards = write_shards(rows(*ARRAYS), tmp_path / "shards", examples_per_shard=7)
    assert len(shards) == 25 and [file.num_examples for file in shards.files] == [7, 7, 7, 4]
    options = {"batch_size": batch_size, "shuffle_seed": shuffle_seed}
    inputs = {name: array for name, array in ARRAYS.items() if name not in ("label", "weight")}
    wanted = batches(inputs, ARRAYS["label"], sample_weight=ARRAYS["weight"], **options)
    assert_same_batches(batches(open_shards(shards.folder), "label", sample_weight="weight", **options), wanted)
    assert_same_batches(batches(shards, **options), batches(ARRAYS, **options))


def test_one_feature_left_is_the_input_itself(shards) -> None:
    for length in (3, 30, None):  # cut, padded, as long as the longest
        ids = pad_sequences_to(TOKEN_IDS, length or ARRAYS["token_ids"].shape[1])
        found = batches(shards, "label", batch_size=5, sequence_length=length)
        assert_same_batches(found, batches(ids, ARRAYS["label"], batch_size=5))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), min_size=1, max_size=9), st.integers(1, 4))
def test_any_sequences_come_back(tmp_path_factory, sequences, examples_per_shard) -> None:
    if not any(sequences):
        sequences.append([1])
    folder = tmp_path_factory.mktemp("any") / "shards"
    write_shards(({"ids": ids} for ids in sequences), folder, examples_per_shard=examples_per_shard)
    shards = open_shards(folder)
    wanted = pad_sequences_to(sequences, max(map(len, sequences)))
    np.testing.assert_array_equal(np.concatenate([*batches(shards, batch_size=4)]), wanted)
    assert len(shards) == len(sequences) and shards.features["ids"].longest == wanted.shape[1]


def test_sequences_of_pairs_vary_in_their_first_axis_only(tmp_path) -> None:
    pairs = [np.arange(2 * length, dtype="float32").reshape(length, 2) + 1 for length in (3, 1, 0)]
    shards = write_shards([{"pairs": pair} for pair in pairs], tmp_path / "shards")
    assert shards.features == {"pairs": Feature("float32", (None, 2), longest=3)}
    (batch,) = batches(shards, batch_size=3, sequence_length=2)
    np.testing.assert_array_equal(batch, [[[1, 2], [3, 4]], [[1, 2], [0, 0]], [[0, 0], [0, 0]]])


def test_a_checkpoint_of_the_iterator_goes_on_where_it_was(shards, tmp_path) -> None:
    import tensorflow as tf

    iterators = [iter(batches(shards, "label", batch_size=4, shuffle_seed=1)) for _ in range(2)]
    for _ in range(2):
        next(iterators[0])
    path = tf.train.Checkpoint(iterator=iterators[0]).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(iterator=iterators[1]).read(path)
    rest = [[label.numpy().tolist() for _, label in iterator] for iterator in iterators]
    assert rest[0] == rest[1] and len(rest[0]) == 5


def test_the_index_tells_what_there_is(shards) -> None:
    index = json.loads((shards.folder / "index.json").read_text())
    assert index["num_examples"] == 25 and index["num_bytes"] == sum(s["num_bytes"] for s in index["shards"])
    assert index["features"] == {
        "token_ids": {"dtype": "int32", "shape": ["varies"], "longest": max(map(len, TOKEN_IDS))},
        "label": {"dtype": "int32", "shape": [], "longest": 1},
    }
    assert [shard["name"] for shard in index["shards"]] == [f"shard-0000{i}-of-00003.tfrecord" for i in range(3)]
    assert open_shards(shards.folder) == shards


def test_writing_streams_and_shows_nothing_before_the_end(tmp_path) -> None:
    folder = tmp_path / "shards"

    def examples():
        for number in range(4):
            (hidden,) = tmp_path.iterdir()  # what a kill would leave
            assert hidden.name.startswith(".shards.") and len(list(hidden.iterdir())) == number
            yield {"x": number}

    write_shards(examples(), folder, examples_per_shard=1)
    assert list(tmp_path.iterdir()) == [folder] and len(open_shards(folder)) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the source is gone")])
def test_a_broken_off_writing_leaves_nothing(shards, error) -> None:
    def examples():
        yield {"x": 1}
        raise error

    with pytest.raises(type(error) if isinstance(error, OSError) else error) as raised:
        write_shards(examples(), shards.folder, overwrite=True)
    assert not isinstance(raised.value, InputError)  # it is the caller's
    assert list(shards.folder.parent.iterdir()) == [shards.folder] and open_shards(shards.folder) == shards


def test_an_existing_folder_is_replaced_only_when_asked(shards, tmp_path) -> None:
    with pytest.raises(InputError, match="overwrite=True"):
        write_shards(rows("label"), shards.folder)
    assert open_shards(shards.folder) == shards
    assert open_shards(write_shards(rows("label"), shards.folder, overwrite=True).folder).features.keys() == {"label"}
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]

    (shards.folder / "thesis.txt").write_text("years of work")
    other, file = tmp_path / "other", tmp_path / "file"
    other.mkdir()
    file.write_text("text")
    for target in (shards.folder, other, file):
        with pytest.raises(InputError, match="not replaced"):
            write_shards(rows("label"), target, overwrite=True)
    assert (shards.folder / "thesis.txt").exists() and file.read_text() == "text"


def test_two_writers_of_one_folder(tmp_path) -> None:
    def examples():
        yield {"x": 1}
        write_shards([{"x": 2}], tmp_path / "shards")  # the other one is faster

    with pytest.raises(InputError, match="exists"):
        write_shards(examples(), tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["shards"] and len(open_shards(tmp_path / "shards")) == 1


def test_a_place_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "shards", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="Cannot write shards to"):
            write_shards(rows("label"), folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            write_shards(rows("label"), tmp_path / "shards")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "no examples"),
        ([{"a": 1}, {"b": 1}], r"examples\[1\] has the features \['b'\]"),
        ([{"a": 1}, {"a": 1.5}], r"examples\[1\]: 'a' is float32, .* int32"),
        ([{"a": []}, {"a": [1]}, {"a": [1.5]}], r"examples\[2\]: 'a' is float32, .* int32"),
        ([{"a": [1]}, {"a": 1}], r"examples\[1\]: 'a' has shape \(\)"),
        ([{"a": [[1, 2]]}, {"a": [[1, 2, 3]]}], r"examples\[1\]: 'a' has shape \(1, 3\)"),
        ([{"a": 1, "b": []}, {"a": 1, "b": []}], "'b' is empty"),
    ],
)
def test_examples_that_do_not_agree(tmp_path, examples, message) -> None:
    with pytest.raises(InputError, match=message):
        write_shards(examples, tmp_path / "shards")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", r"examples\[1\]: 'a' has dtype"),
        (np.float64(1), "float64, which shards cannot hold"),
        (2**31, "too large for int32"),
        ([[1], [2, 3]], "no rectangle"),
    ],
)
def test_values_that_shards_cannot_hold(tmp_path, value, message) -> None:
    with pytest.raises(ValueError, match=message):
        write_shards([{"a": 1}, {"a": value}], tmp_path / "shards")
    with pytest.raises(TypeError, match=r"examples\[0\] is a list"):
        write_shards([[1, 2]], tmp_path / "shards")
    assert not list(tmp_path.iterdir())


def cut_last_record(content: bytes) -> bytes:
    begin = 0
    while begin < len(content):
        last, begin = begin, begin + 16 + struct.unpack_from("<Q", content, begin)[0]
    return content[:last]


def test_a_file_cut_between_two_records_is_found(shards) -> None:
    import tensorflow as tf

    path = shards.folder / shards.files[1].name
    path.write_bytes(cut_last_record(path.read_bytes()))
    assert sum(1 for _ in tf.data.TFRecordDataset(str(path))) == 9  # TFRecord itself sees nothing wrong
    for verify in (True, False):
        with pytest.raises(InputError, match=re.escape(f"{path.name} has")):
            open_shards(shards.folder, verify=verify)


def test_a_changed_byte_is_found(shards) -> None:
    path = shards.folder / shards.files[2].name
    content = bytearray(path.read_bytes())
    content[0] ^= 1  # the length of the first record
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path.name} has changed"):
        open_shards(shards.folder)
    with pytest.raises(InputError, match=f"{path.name} does not hold 5 whole records"):
        batches(open_shards(shards.folder, verify=False), batch_size=2)


def test_missing_and_further_files_are_found(shards, tmp_path) -> None:
    (shards.folder / ".DS_Store").touch()
    assert open_shards(shards.folder) == shards
    stranger = shards.folder / "shard-00003-of-00003.tfrecord"
    stranger.touch()
    with pytest.raises(InputError, match=f"{stranger.name}, which is not in its index"):
        open_shards(shards.folder)
    stranger.unlink()
    (shards.folder / shards.files[0].name).unlink()
    with pytest.raises(InputError, match=f"{shards.files[0].name} is missing"):
        open_shards(shards.folder)
    with pytest.raises(InputError, match="holds no shards"):
        open_shards(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: "{", "no JSON"),
        (lambda index: "[]", "not as it was written"),
        (lambda index: json.dumps(index | {"version": 2}), "version 2"),
        (lambda index: json.dumps(index | {"num_examples": 24}), "not as it was written"),
        (lambda index: json.dumps(index | {"shards": index["shards"][:2]}), "not as it was written"),
    ],
)
def test_a_damaged_index_is_found(shards, change, message) -> None:
    path = shards.folder / "index.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(InputError, match=message):
        open_shards(shards.folder)


def test_batches_of_shards_name_features(shards, tmp_path) -> None:
    for wrong in ({"labels": "lable"}, {"labels": ARRAYS["label"]}, {"labels": "label", "sample_weight": "token_ids"}):
        with pytest.raises(ValueError, match="name features"):
            batches(shards, **wrong, batch_size=4)
    with pytest.raises(ValueError, match="sequence_length=0"):
        batches(shards, "label", batch_size=4, sequence_length=0)
    fixed = write_shards(rows("vector"), tmp_path / "fixed")
    with pytest.raises(ValueError, match="some feature must vary"):
        batches(fixed, batch_size=4, sequence_length=8)
    with pytest.raises(ValueError, match="goes with shards"):
        batches(ARRAYS["token_ids"], batch_size=4, sequence_length=8)

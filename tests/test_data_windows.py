"""keras_llm.data: running text as rows of a language model."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_llm.data import random_windows, windows

IDS = np.arange(100, 1_100)


def test_windows_cover_the_text_once_and_labels_are_the_next_ids() -> None:
    rows, labels = windows(IDS, 64)
    assert rows.shape == labels.shape == (15, 64) and rows.dtype == np.int32
    np.testing.assert_array_equal(rows.ravel(), IDS[:960])
    np.testing.assert_array_equal(labels.ravel(), IDS[1:961])
    assert windows(IDS[:65], 64)[0].shape == (1, 64)
    for wrong in (IDS[:64], []):
        with pytest.raises(ValueError, match="do not fill a row of 64"):
            windows(wrong, 64)


def test_random_windows_are_rows_of_the_text_from_everywhere_and_others_in_each_pass() -> None:
    tf.random.set_seed(0)
    dataset = random_windows(IDS, 8, batch_size=50, steps=200, seed=0)
    assert int(dataset.cardinality()) == 200
    first, second = ([(x.numpy(), y.numpy()) for x, y in dataset] for _ in range(2))
    for x, y in first:
        assert x.shape == y.shape == (50, 8) and x.dtype == np.int32
        np.testing.assert_array_equal(x, x[:, :1] + np.arange(8))
        np.testing.assert_array_equal(y, x + 1)
    begins = np.concatenate([x[:, 0] for x, _ in first])  # 10,000 among 992 places
    assert begins.min() == 100 and begins.max() == 1_091  # 1,099 is the last label
    # 2,000 draws among 992 places leave about e^-2 of them out.
    assert abs(len(np.unique(begins[:2_000])) / 992 - (1 - np.exp(-2000 / 992))) < 0.05
    assert not np.array_equal(first[0][0], second[0][0])


def test_a_pass_over_random_windows_can_be_saved_and_come_back_in_another_process(tmp_path) -> None:
    make = "d = random_windows(np.arange(1_000), 4, batch_size=2, steps=3, seed=5)"
    read = "[x.numpy().tolist() for x, _ in {}]"
    lines = ["import numpy as np, tensorflow as tf", "from keras_llm.data import random_windows"]
    lines += ["tf.random.set_seed(0)", make]
    lines += ["i = iter(d)", f"tf.train.Checkpoint(i=i).read({str(tmp_path / 'saved')!r})"]
    lines += [f"print({read.format('i')}, {read.format('d')})"]
    tf.random.set_seed(0)
    dataset = random_windows(np.arange(1_000), 4, batch_size=2, steps=3, seed=5)
    list(dataset)
    iterator = iter(dataset)
    tf.train.Checkpoint(i=iterator).write(str(tmp_path / "saved"))
    expected = f"{[x.numpy().tolist() for x, _ in iterator]} {[x.numpy().tolist() for x, _ in dataset]}\n"
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == expected


def test_too_little_text_is_refused() -> None:
    with pytest.raises(ValueError, match="4 ids do not fill a row of 4"):
        random_windows(IDS[:4], 4, batch_size=2, steps=3, seed=0)
    assert next(iter(random_windows(IDS[:5], 4, batch_size=2, steps=3, seed=0)))[0].shape == (2, 4)

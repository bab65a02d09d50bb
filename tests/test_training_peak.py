"""The measured matrix-product peak: the faster of two ways, measured once, without a trace in the random state."""

import pytest
import tensorflow as tf

from keras_llm.training import peak


@pytest.fixture
def small(monkeypatch):
    """A size that takes no time, and a measurement that no other test sees."""
    monkeypatch.setattr(peak, "SIZE", 64)
    monkeypatch.setattr(peak, "SECONDS", 0.001)
    peak.matmul_peak.cache_clear()
    yield
    peak.matmul_peak.cache_clear()


def test_the_peak_is_that_of_the_faster_way(small, monkeypatch) -> None:
    seconds = iter([0.5, 0.25])
    monkeypatch.setattr(peak, "_fastest", lambda *_: next(seconds))
    assert peak.matmul_peak("float32") == 2 * 64**3 / 0.25


def test_the_peak_is_measured_once_for_each_type(small) -> None:
    assert peak.matmul_peak("float32") == peak.matmul_peak("float32") > 0
    assert peak.matmul_peak("bfloat16") > 0
    assert peak.matmul_peak.cache_info().misses == 2


def test_measuring_draws_no_random_numbers(small) -> None:
    tf.random.set_seed(0)
    expected = tf.random.normal((2,)).numpy()
    tf.random.set_seed(0)
    peak.matmul_peak("float32")
    assert (tf.random.normal((2,)).numpy() == expected).all()

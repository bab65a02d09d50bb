"""Dropout that is fast inside an XLA program."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="keras_llm")
class Dropout(layers.Dropout):
    """``keras.layers.Dropout``, with the random generator named instead of left to the compiler.

    Keras asks for ``auto_select``, which XLA on a CPU answers with a generator that is many times slower than
    Philox. The same seed draws other zeros compiled than op by op, but always the same ones in either.

    Args:
        rate: share of the inputs set to zero in training, in [0, 1); the rest is scaled by ``1 / (1 - rate)``.
        noise_shape: as in Keras, for instance ``(None, 1, D)`` to drop whole features of a ``(B, T, D)`` input.
        seed: integer; by default Keras's global seed decides.

    Call arguments:
        inputs: float tensor of any shape.
        training: drop only when True.

    Returns:
        A tensor like ``inputs``.

    Source: Srivastava et al. 2014; document D0, appendix, question 2 (regularisation).
    """

    def call(self, inputs, training: bool = False):
        if not training or self.rate == 0:
            return inputs
        shape = self.noise_shape
        if shape is not None:
            shape = [tf.shape(inputs)[axis] if size is None else size for axis, size in enumerate(shape)]
        seed = tf.cast(self.seed_generator.next(), "int32")
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed, noise_shape=shape, rng_alg="philox")

"""An LSTM written to be read, and faster under XLA than the general one.

Two things make it fast. The input's share of the gates, ``x W + b``, does not depend on the previous step, so one
large product before the loop replaces T small ones. And the gradient is written by hand: the loop back through time
keeps only what must be sequential; the slopes of the gates are computed before it, for all steps at once, and the
gradient of the recurrent weights after it, in one large product.

B = batch, T = time, D = width of the input, H = units.
"""

import keras
import tensorflow as tf
from keras import initializers, layers, ops


@keras.saving.register_keras_serializable(package="keras_llm")
class LSTM(layers.Layer):
    """Long short-term memory over the time axis; same weights, outputs and gradients as ``keras.layers.LSTM``.

    At each step, with ``[i f g o] = x_t W + h_{t-1} U + b``::

        c_t = σ(f) ∘ c_{t-1} + σ(i) ∘ tanh(g)        what the cell remembers
        h_t = σ(o) ∘ tanh(c_t)                       what it shows

    Args:
        units: width H of the state.
        return_sequences: give each step's state, not only the last one.
        go_backwards: read the sequence from its end; the outputs then come in that order too.
        kernel_regularizer: Keras regularizer of ``W``, for instance ``keras.regularizers.L2(1e-4)``.

    Call arguments:
        inputs: float tensor ``(B, T, D)``; T must be known when the layer is compiled.
        mask: bool tensor ``(B, T)``; at a False step the state is carried over unchanged, so padding changes nothing.

    Returns:
        ``(B, T, H)`` with ``return_sequences``, otherwise ``(B, H)``.

    Raises:
        ValueError: when ``units`` is not positive, or the input has no fixed length.

    Example:
        >>> LSTM(8, return_sequences=True)(keras.random.normal((2, 5, 3))).shape
        TensorShape([2, 5, 8])

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); document D0, section 5.2.
    """

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        go_backwards: bool = False,
        kernel_regularizer: keras.regularizers.Regularizer | str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if units <= 0:
            raise ValueError(f"units={units}: an LSTM needs at least one unit.")
        self.units = units
        self.return_sequences = return_sequences
        self.go_backwards = go_backwards
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        _, length, width = input_shape
        if length is None:
            raise ValueError("LSTM needs a fixed sequence length: pad the batches to one length.")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width, 4 * self.units),
            initializer="glorot_uniform",
            regularizer=self.kernel_regularizer,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, 4 * self.units), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(4 * self.units,), initializer=self._bias_initializer)

    def _bias_initializer(self, shape: tuple, dtype=None):
        # The forget gate starts open (1), so that early in training the cell remembers. Jozefowicz et al. 2015.
        open_forget_gate = initializers.Ones()((self.units,), dtype=dtype)
        zeros = initializers.Zeros()
        return ops.concatenate([zeros((self.units,), dtype), open_forget_gate, zeros((2 * self.units,), dtype)])

    def call(self, inputs, mask=None):
        gates = ops.matmul(inputs, self.kernel) + self.bias  # (B, T, 4H): the hoisted part
        gates = ops.transpose(gates, (1, 0, 2))  # (T, B, 4H)
        if mask is None:
            keep = ops.ones_like(gates[:, :, :1])
        else:
            keep = ops.expand_dims(ops.cast(ops.transpose(mask), gates.dtype), -1)
        # keep: (T, B, 1)
        if self.go_backwards:
            gates, keep = ops.flip(gates, axis=0), ops.flip(keep, axis=0)
        # TensorFlow's own conversion reads the variable; a custom gradient takes no variables when run eagerly.
        recurrent_kernel = tf.convert_to_tensor(self.recurrent_kernel)
        # Two halves of a batch know nothing of each other: XLA runs their loops side by side, on two cores. Measured:
        # 300 ms a training step become 265 for D0's network, 210 become 190 at 64 × 256; short texts take as long.
        halves = 2 if gates.shape[1] and gates.shape[1] % 2 == 0 else 1
        parts = zip(tf.split(gates, halves, axis=1), tf.split(keep, halves, axis=1), strict=True)
        states = tf.concat([lstm_recurrence(g, recurrent_kernel, k) for g, k in parts], axis=1)  # (T, B, H)
        return ops.transpose(states, (1, 0, 2)) if self.return_sequences else states[-1]

    def compute_mask(self, inputs, mask=None):
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, length, _ = input_shape
        return (batch, length, self.units) if self.return_sequences else (batch, self.units)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "units": self.units,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@tf.custom_gradient
def lstm_recurrence(gates, recurrent_kernel, keep):
    """The sequential part of an LSTM, with its gradient.

    Args:
        gates: ``x W + b`` for each step, ``(T, B, 4H)``, in the order input, forget, candidate, output.
        recurrent_kernel: ``U``, ``(H, 4H)``.
        keep: ``(T, B, 1)``; 1 where the step counts, 0 where the state is carried over.

    Returns:
        The state after each step, ``(T, B, H)``.

    Source: Werbos 1990, backpropagation through time.
    """
    steps, (batch, units) = gates.shape[0], (tf.shape(gates)[1], recurrent_kernel.shape[0])
    zero_state = tf.zeros((batch, units), gates.dtype)

    def array() -> tf.TensorArray:
        return tf.TensorArray(gates.dtype, size=steps, element_shape=None)

    def forward(t, h, c, hs, cs, zs):
        z = gates[t] + h @ recurrent_kernel  # (B, 4H)
        i, f, g, o = activate(z)
        new_c = f * c + i * g
        c = keep[t] * new_c + (1 - keep[t]) * c
        h = keep[t] * o * tf.tanh(new_c) + (1 - keep[t]) * h
        return t + 1, h, c, hs.write(t, h), cs.write(t, c), zs.write(t, z)

    *_, hs, cs, zs = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, zero_state, zero_state, array(), array(), array()),
        maximum_iterations=steps,
    )
    states, cells, zs = hs.stack(), cs.stack(), zs.stack()  # (T, B, H), (T, B, H), (T, B, 4H)

    def gradient(upstream):  # upstream: (T, B, H)
        h_before = tf.concat([zero_state[None], states[:-1]], axis=0)  # h_{t-1}
        c_before = tf.concat([zero_state[None], cells[:-1]], axis=0)  # c_{t-1}
        # Whatever does not depend on the way back is computed for all steps at once, on all cores.
        i, f, g, o = activate(zs)  # 4 of (T, B, H)
        tanh_c = tf.tanh(f * c_before + i * g)
        from_h_to_c = keep * o * (1 - tanh_c * tanh_c)
        slopes = tf.concat(
            [g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g), keep * tanh_c * o * (1 - o)], axis=-1
        )  # (T, B, 4H): dc/dz for the first three gates, dh/dz for the output gate
        to_before = tf.transpose(recurrent_kernel)

        def backward(t, dh, dc, dzs):
            dh = dh + upstream[t]
            new_dc = keep[t] * dc + from_h_to_c[t] * dh
            dz = slopes[t] * tf.concat([new_dc, new_dc, new_dc, dh], axis=-1)  # (B, 4H)
            dh = dz @ to_before + (1 - keep[t]) * dh
            dc = new_dc * f[t] + (1 - keep[t]) * dc
            return t - 1, dh, dc, dzs.write(t, dz)

        *_, dzs = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (steps - 1, zero_state, zero_state, array()),
            maximum_iterations=steps,
        )
        dzs = dzs.stack()  # (T, B, 4H)
        flat = (steps * batch, -1)
        dkernel = tf.matmul(tf.reshape(h_before, flat), tf.reshape(dzs, flat), transpose_a=True)  # (H, 4H)
        return dzs, dkernel, None

    return states, gradient


def activate(z):
    """``(…, 4H)`` before the nonlinearities to the input, forget, candidate and output gates, each ``(…, H)``."""
    i, f, g, o = tf.split(z, 4, axis=-1)
    return tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)


@keras.saving.register_keras_serializable(package="keras_llm")
class BidirectionalLSTM(layers.Layer):
    """Two LSTMs side by side, one that reads from the left and one from the right.

    Args:
        units: width H of each direction.
        return_sequences: give each position's two states, not only the two last ones.
        kernel_regularizer: as in :class:`LSTM`.

    Call arguments:
        inputs: float tensor ``(B, T, D)``.
        mask: bool tensor ``(B, T)``; see :class:`LSTM`.

    Returns:
        ``(B, T, 2H)`` with ``return_sequences``, where position t holds what was read up to t from either side,
        and zeros where the mask is False; otherwise ``(B, 2H)``. The same as ``keras.layers.Bidirectional``.

    Example:
        >>> BidirectionalLSTM(8)(keras.random.normal((2, 5, 3))).shape
        TensorShape([2, 16])

    Source: Schuster and Paliwal 1997.
    """

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        kernel_regularizer: keras.regularizers.Regularizer | str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.return_sequences = return_sequences
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        options = {"return_sequences": return_sequences, "kernel_regularizer": self.kernel_regularizer}
        self.from_left = LSTM(units, name="from_left", **options)
        self.from_right = LSTM(units, go_backwards=True, name="from_right", **options)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.from_left.build(input_shape)
        self.from_right.build(input_shape)

    def call(self, inputs, mask=None):
        left = self.from_left(inputs, mask=mask)
        right = self.from_right(inputs, mask=mask)
        if not self.return_sequences:
            return ops.concatenate([left, right], axis=-1)  # (B, 2H)
        right = ops.flip(right, axis=1)  # back into the order of the text
        states = ops.concatenate([left, right], axis=-1)  # (B, T, 2H)
        return states if mask is None else ops.where(ops.expand_dims(mask, -1), states, 0.0)

    def compute_mask(self, inputs, mask=None):
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*self.from_left.compute_output_shape(input_shape)[:-1], 2 * self.units)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "units": self.units,
            "return_sequences": self.return_sequences,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }

"""The Keras layer of a subword tokenizer. This file alone of ``keras_llm.text`` loads TensorFlow.

keras-hub's ``BytePairTokenizer`` (0.32) has two paths that disagree. Called eagerly it hands its split pattern over as
a plain string, which is searched literally, so that merges cross from word to word; inside ``tf.data`` it marks word
borders with the Devanagari digit ६ and loses that digit from Hindi texts, and needs tensorflow-text, which Windows
lacks. The subclass keeps everything else (vocabulary, merges, saving) and sends both paths through one encoder.
"""

from itertools import chain

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from keras_llm.text.subwords import byte_level_bpe


@keras.saving.register_keras_serializable(package="keras_llm")
class SubwordLayer(keras_hub.tokenizers.BytePairTokenizer):
    """``BytePairTokenizer`` whose ids equal those of ``SubwordTokenizer.encode`` on every text.

    Make it with ``SubwordTokenizer.to_keras``. It runs in Python, eagerly or from inside a graph, so it belongs into
    ``dataset.map`` and not under XLA. ``detokenize`` writes padding out; ``SubwordTokenizer.decode`` drops it.

    Args:
        vocabulary: dict token → id, or None when the layer is being loaded.
        merges: list of ``"left right"``.
        sequence_length: pad with 0, or cut, to this length; None leaves the ids ragged.

    Call arguments:
        inputs: string, list of strings, or string tensor ``()`` or ``(B,)``.

    Returns:
        int32 ids: ``(time,)`` of one string; of a batch ``(B, sequence_length)`` or, without a length, ragged
        (a list of lists when called eagerly).

    Example:
        >>> from keras_llm.text import SubwordTokenizer
        >>> layer = SubwordTokenizer.train(["a good film"] * 9, 300).to_keras(sequence_length=4)
        >>> tf.data.Dataset.from_tensor_slices(["a film"]).batch(1, drop_remainder=True).map(layer).element_spec.shape
        TensorShape([1, 4])

    Source: Sennrich et al. 2016, section 3.2; keras-hub's BytePairTokenizer.
    """

    def _set_vocabulary_and_merges_tokenizers(self, vocabulary, merges) -> None:
        super()._set_vocabulary_and_merges_tokenizers(vocabulary, merges)
        self._tokenizer = byte_level_bpe(vocabulary, merges)

    def tokenize(self, inputs):
        if tf.executing_eagerly():
            return super().tokenize(inputs)
        inputs = tf.convert_to_tensor(inputs)
        flat, lengths = tf.numpy_function(self._encode, [tf.reshape(inputs, [-1])], (tf.int32, tf.int64))
        flat.set_shape([None])
        lengths.set_shape([None] if inputs.shape.rank == 0 else inputs.shape)
        ids = tf.RaggedTensor.from_row_lengths(flat, lengths)  # (B, time), B = 1 for one string
        if self.sequence_length:
            ids = ids.to_tensor(shape=(None, self.sequence_length))
        return ids[0] if inputs.shape.rank == 0 else ids

    def _encode(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts in one row, and the length of each text."""
        encodings = self._tokenizer.encode_batch_fast([text.decode("utf-8") for text in texts])
        ids = [encoding.ids for encoding in encodings]
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32)
        return flat, np.array([len(row) for row in ids], dtype=np.int64)

"""GloVe word vectors for the words of a vocabulary."""

from collections.abc import Sequence

import numpy as np

from keras_llm.data.cache import fetch


def load_glove(words: Sequence[str], *, lowercase: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The 50-dimensional GloVe vectors of the given words; downloads 76 MB when first asked for.

    Args:
        words: any words, for instance a vocabulary in the order of its ids.
        lowercase: look words up in lower case, as GloVe's own 400,000 are.

    Returns:
        float32 vectors ``(len(words), 50)``, zeros for a word that GloVe lacks; bool ``(len(words),)``, True where
        it was found.

    Raises:
        InputError: the vectors are not cached and cannot be fetched.

    Source: Pennington, Socher and Manning 2014.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet

    paths = fetch("glove")
    vectors = np.load(paths["glove_6B_50d_emb.npy"], mmap_mode="r", allow_pickle=False)  # (400000, 50)
    known = parquet.read_table(paths["glove_6B_index.parquet"], columns=["index"]).column("index")
    wanted = pa.array([word.lower() if lowercase else word for word in words], pa.string())
    rows = compute.fill_null(compute.index_in(wanted, value_set=known), -1).to_numpy()
    found = rows >= 0
    result = np.zeros((len(words), vectors.shape[1]), dtype=np.float32)
    result[found] = vectors[rows[found]]
    return result, found

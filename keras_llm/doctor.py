"""``keras-llm doctor``: one line for each thing that the course needs."""

import time

from keras_llm import machine
from keras_llm.data import available, cache_folder, is_cached


def examine() -> bool:
    """Print what is there and what is not.

    Returns:
        False when something that the course cannot do without does not work.
    """
    for name, version in machine.versions().items():
        print(f"  {name} {version}")
    about = machine.description()
    memory = f"{about['memory_gb']} GB" if about["memory_gb"] else "memory unknown"
    print(f"  {about['processor']}, {about['cores']} cores, {memory}, {about['system']}")
    good = _check("XLA compiles on this machine", _xla)
    good &= _check("cache", _cache)
    _check("Chinese in figures", _font)
    return good


def _check(title: str, probe) -> bool:
    try:
        answer, good = probe(), True
    except Exception as error:  # whatever is wrong with this machine, the other checks still tell something
        answer, good = (str(error).strip() or type(error).__name__).splitlines()[0], False
    print(f"{'✓' if good else '✗'} {title}: {answer}")
    return good


def _xla() -> str:
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def program(x):
        return tf.reduce_sum(tf.tanh(x @ x))

    start = time.perf_counter()
    program(tf.ones((64, 64)))
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"yes, a first program in {time.perf_counter() - start:.1f} s; {gpus} GPU"


def _cache() -> str:
    folder = cache_folder()
    there = [name for name in available() if is_cached(name)]
    return f"{folder} holds {len(there)} of {len(available())} ({', '.join(there) or 'nothing yet'})"


def _font() -> str:
    from keras_llm.plots import chinese_font

    font = chinese_font()
    if font:
        return f"font {font}"
    if is_cached("noto_sans_cjk"):
        return "Noto Sans CJK, from the cache"
    return "no installed font; a run that needs one fetches Noto Sans CJK (or 'keras-llm data fetch noto_sans_cjk')"

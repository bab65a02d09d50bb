"""The perceptron and the GPTs in plain JAX: the step under ``jax.jit``, AdamW written out, parameters in dictionaries.

B = batch, T = length, W = width, H = heads, K = width of one head.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tests.benchmarks import workloads
from tests.benchmarks.workloads import WORKLOADS, Workload

VARIANTS = {"jit": "JAX jit", "jit_bfloat16": "JAX jit, bfloat16"}
ONLY = ("perceptron", "gpt_small", "gpt")


def gpt_parameters(work: Workload, key: jax.Array) -> dict:
    """Normal with standard deviation 0.02, scales of LayerNorm 1."""
    keys = iter(jax.random.split(key, 2 + 4 * work.layers))

    def normal(*shape: int) -> jax.Array:
        return 0.02 * jax.random.normal(next(keys), shape)

    def block() -> dict:
        return {
            "attention_norm": jnp.ones(work.width),
            "query_key_value": normal(work.width, 3 * work.width),
            "output": normal(work.width, work.width),
            "norm": jnp.ones(work.width),
            "up": normal(work.width, work.hidden),
            "down": normal(work.hidden, work.width),
        }

    return {
        "tokens": normal(work.vocabulary, work.width),
        "positions": normal(work.length, work.width),
        "blocks": [block() for _ in range(work.layers)],
        "norm": jnp.ones(work.width),
    }


def gpt_loss(parameters: dict, batch: dict, work: Workload, dtype: str) -> jax.Array:
    """Mean cross-entropy of the next tokens; the products in ``dtype``, LayerNorm, softmax and loss in float32."""
    low = jax.tree.map(lambda p: p.astype(dtype), parameters)
    x = low["tokens"][batch["token_ids"]] + low["positions"]  # (B, T, W)
    for block in low["blocks"]:
        x = x + attention(block, layer_norm(x, block["attention_norm"]), work.heads)
        hidden = jax.nn.gelu(layer_norm(x, block["norm"]) @ block["up"], approximate=False)
        x = x + hidden @ block["down"]
    logits = layer_norm(x, low["norm"]) @ low["tokens"].T  # (B, T, V): the head is the embedding
    log_probabilities = jax.nn.log_softmax(logits.astype("float32"))
    return -jnp.take_along_axis(log_probabilities, batch["labels"][..., None], axis=-1).mean()


def attention(block: dict, x: jax.Array, heads: int) -> jax.Array:
    batch, length, width = x.shape
    q, k, v = jnp.split((x @ block["query_key_value"]).reshape(batch, length, 3 * heads, -1), 3, axis=2)  # (B, T, H, K)
    return jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(batch, length, width) @ block["output"]


def layer_norm(x: jax.Array, scale: jax.Array, epsilon: float = 1e-5) -> jax.Array:
    x32 = x.astype("float32")
    centred = x32 - x32.mean(axis=-1, keepdims=True)
    normed = centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + epsilon)
    return (normed * scale).astype(x.dtype)


def perceptron_parameters(key: jax.Array) -> dict:
    """Glorot's uniform, biases 0, as Keras begins."""
    glorot, (first, second) = jax.nn.initializers.glorot_uniform(), jax.random.split(key)
    hidden, output = glorot(first, (2, 10)), glorot(second, (10, 1))
    return {"hidden": hidden, "hidden_bias": jnp.zeros(10), "output": output, "output_bias": jnp.zeros(1)}


def perceptron_loss(parameters: dict, batch: dict) -> jax.Array:
    hidden = jax.nn.relu(batch["x"] @ parameters["hidden"] + parameters["hidden_bias"])
    logits = (hidden @ parameters["output"] + parameters["output_bias"])[:, 0]
    return (jax.nn.softplus(logits) - batch["labels"] * logits).mean()


def sgd(parameters: dict, gradients: dict, state: dict, rate: float = 0.01) -> tuple[dict, dict]:
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), state


def adamw(parameters: dict, gradients: dict, state: dict) -> tuple[dict, dict]:
    """The GPTs' optimizer: gradients clipped to norm 1, weight decay 0.1 on matrices.

    Source: Loshchilov and Hutter 2019, algorithm 2.
    """
    rate, beta_1, beta_2, decay = 1e-3, 0.9, 0.99, 0.1
    norm = jnp.sqrt(sum(jnp.square(g).sum() for g in jax.tree.leaves(gradients)))
    gradients = jax.tree.map(lambda g: g / jnp.maximum(norm, 1.0), gradients)
    step = state["step"] + 1
    mean = jax.tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, state["mean"], gradients)
    square = jax.tree.map(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, state["square"], gradients)

    def updated(p: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        change = m / (1 - beta_1**step) / (jnp.sqrt(v / (1 - beta_2**step)) + 1e-8)
        return p - rate * (change + (decay * p if p.ndim > 1 else 0.0))

    return jax.tree.map(updated, parameters, mean, square), {"step": step, "mean": mean, "square": square}


def prepare(name: str, variant: str) -> tuple[Callable[[], dict], int]:
    """Build a workload's network from seed 0; see ``tests.benchmarks.worker``.

    Args:
        name: key of ``ONLY``.
        variant: key of ``VARIANTS``.
    """
    work, (inputs, labels) = WORKLOADS[name], workloads.batches(name)
    key, dtype = jax.random.key(0), "bfloat16" if variant.endswith("bfloat16") else "float32"
    if name == "perceptron":
        parameters, update, loss_of = perceptron_parameters(key), sgd, perceptron_loss
    else:
        parameters, update = gpt_parameters(work, key), adamw
        loss_of = lambda parameters, batch: gpt_loss(parameters, batch, work, dtype)  # noqa: E731
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = {"step": jnp.zeros(()), "mean": zeros, "square": jax.tree.map(jnp.copy, zeros)}

    def step(parameters: dict, state: dict, batch: dict) -> tuple[dict, dict, jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, batch)
        return *update(parameters, gradients, state), loss

    step = jax.jit(step, donate_argnums=(0, 1))
    rows = [np.arange(i * work.batch, (i + 1) * work.batch) % len(labels) for i in range(work.steps)]
    batches = [jax.device_put({key: a[row] for key, a in {**inputs, "labels": labels}.items()}) for row in rows]
    last_pass = len(batches) // work.epochs(len(labels))

    def run() -> dict:
        nonlocal parameters, state
        losses, start = [], time.perf_counter()
        for batch in batches:
            parameters, state, loss = step(parameters, state, batch)
            losses.append(loss)
        jax.block_until_ready(parameters)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": float(np.mean(losses[-last_pass:]))}

    return run, sum(p.size for p in jax.tree.leaves(parameters))

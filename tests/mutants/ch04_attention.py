"""Wrong answers to the exercises of chapter 4: what is changed in the solution, and what the grader must say."""

MUTANTS = {
    "causal_mask": [
        (">=", ">", "No position sees itself"),
        ("[:, None] >= np.arange(length)", " >= np.arange(length)[:, None]", "turned round"),
        (">=", "<", "True where looking is forbidden"),
        ("np.arange(length)[:, None] >= np.arange(length)", "np.tri(length)", "holds numbers"),
    ],
    "attention": [
        (" / math.sqrt(queries.shape[-1])", "", "division by √D is missing"),
        ("math.sqrt(queries.shape[-1])", "queries.shape[-1]", "by D instead of √D"),
        ("np.where(mask, scores, -1e9)", "np.where(mask, -1e9, scores)", "inverted"),
        ("np.where(mask, scores, -1e9)", "scores * mask", "sets scores to 0"),
        ("if mask is not None:", "if False:", "has no effect"),
        (" - scores.max(axis=-1, keepdims=True)", "", "overflows"),
        (" - scores.max(axis=-1, keepdims=True)", " - scores.max()", "largest score of each row"),
        ("np.swapaxes(keys, -1, -2)", "keys.T", "ValueError: matmul"),
        ("weights = weights / weights.sum(axis=-1, keepdims=True)", "pass", "do not sum to 1"),
        ("return weights @ values", "return 0 * (weights @ values)", "Check the formula"),
    ],
    "split_heads": [
        (
            "x.reshape(batch, time, num_heads, width // num_heads).transpose(0, 2, 1, 3)",
            "x.reshape(batch, num_heads, time, width // num_heads)",
            "mixes positions",
        ),
        (
            "x.reshape(batch, time, num_heads, width // num_heads).transpose(0, 2, 1, 3)",
            "x.reshape(batch, time, width // num_heads, num_heads).transpose(0, 3, 1, 2)",
            "every H-th number",
        ),
        (".transpose(0, 2, 1, 3)", "", "the axes are (B, H, T, D/H)"),
        (".transpose(0, 2, 1, 3)", ".transpose(0, 2, 1, 3) * 0", "Head h of a position"),
    ],
    "sinusoidal_positions": [
        ("table[:, 0::2] = np.sin(angles)", "table[:, 0::2] = np.cos(angles)", "10000^(-2i/D)"),
        ("np.arange(length)[:, None]", "np.arange(1, length + 1)[:, None]", "count from 1"),
        ("np.arange(0, hidden_dim, 2)", "np.arange(hidden_dim // 2)", "not i/D"),
        ("return table", "return np.hstack([np.sin(angles), np.cos(angles)])", "two halves"),
        ("10_000.0", "1_000.0", "10000^(-2i/D)"),
    ],
    "padding_and_causal": [
        ("(token_ids != 0)[:, None, :] & ", "np.ones((len(token_ids), 1, 1), bool) & ", "padding is not hidden"),
        (" & (steps[:, None] >= steps)", " & (steps[:, None] >= 0)", "future is not hidden"),
        ("(token_ids != 0)[:, None, :]", "(token_ids != 0)[:, :, None]", "instead of the keys"),
        ("] & (steps", "] | (steps", "hides nothing of the other"),
        ("token_ids != 0", "token_ids == 0", "Key j is allowed"),
    ],
    "spread_of_scores": [
        ("float(scores.std()), ", "float(scores.var()), ", "is the variance"),
        ("math.sqrt(width)", "width", "divided by D"),
        ("default_rng(seed)", "default_rng()", "with the same seed differ"),
        ("default_rng(seed)", "default_rng(0)", "use the seed"),
        ("size=(pairs, width)", "size=(100 * pairs, width)", "as many pairs as asked"),
        (
            "return float(scores.std()), float((scores / math.sqrt(width)).std())",
            "return math.sqrt(width), 1.0",
            "that theory promises",
        ),
    ],
}

"""Train one model several times over from the same beginning, without compiling its step again."""

import keras


class Beginning:
    """What a compiled model and its optimizer are now, to be put back before another training.

    A new model, or a new ``compile``, is a new program, whose compilation may take longer than a short training.

    Args:
        model: built and compiled.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> beginning = Beginning(model)
        >>> _ = fit(model, (np.ones((2, 1)), np.ones((2, 1))), verbose=0)
        >>> beginning.put_back(seed=1)
        >>> int(model.optimizer.iterations)
        0
    """

    def __init__(self, model: keras.Model) -> None:
        model.optimizer.build(model.trainable_variables)
        self.values = [(variable, variable.numpy()) for variable in (*model.variables, *model.optimizer.variables)]

    def put_back(self, seed: int = 0) -> None:
        """Weights, moments and counters as they were; what draws random numbers begins with ``seed``."""
        for variable, value in self.values:
            variable.assign([seed, 0] if variable.path.endswith("seed_generator_state") else value)

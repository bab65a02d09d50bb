"""The two ways in which keras_llm gives up, each told to the user in one sentence and without a traceback."""


class InputError(ValueError):
    """The user's input is wrong: a file, an option, a name. The command line ends with exit code 2.

    The message is one sentence that names the file, line or option and says what to do.
    """


class WorkError(RuntimeError):
    """The work itself failed, for instance a loss that became NaN. The command line ends with exit code 1."""

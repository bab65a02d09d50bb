"""The callback that writes a training into its run."""

import time

from keras.callbacks import Callback, EarlyStopping

from keras_llm.runs import INTERRUPTED, LOG, Run
from keras_llm.text_model import TextModel
from keras_llm.training import Checkpoint, TrainingLog


def stage_callbacks(
    run: Run,
    stage: str,
    early_stopping: EarlyStopping | None,
    text_model: TextModel | None,
    checkpoints: bool,
) -> list[Callback]:
    """See :meth:`keras_llm.runs.Run.callbacks`."""
    stopping = [early_stopping] if early_stopping is not None else []
    recorded = [*stopping, Recorder(run, stage, early_stopping, text_model), TrainingLog(run.output / LOG, stage)]
    if run.options.watch:
        from keras_llm.watching import FOLDER, Board

        recorded.append(Board(run.output / FOLDER / stage))
    if not checkpoints:
        return recorded
    identity = {} if text_model is None else {"tokenizer": text_model.tokenizer.fingerprint}
    # The loop calls the checkpoint last: an epoch that is not recorded is one that a resume repeats.
    return [*recorded, Checkpoint(run.checkpoint_folder(stage), identity=identity)]


class Recorder(Callback):
    """A line in ``history.csv`` an epoch; and, when the training is interrupted, what there is so far."""

    def __init__(
        self, run: Run, stage: str, early_stopping: EarlyStopping | None, text_model: TextModel | None
    ) -> None:
        super().__init__()
        self.run, self.stage = run, stage
        self.early_stopping, self.text_model = early_stopping, text_model

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.run.folder()
        self.run.recorder, self.ended = self, False
        self.estimated = self.run.estimate.seconds_of(self.stage) if self.run.estimate else None
        if self.estimated:
            print(f"{self.stage}: about {self.estimated:.0f} s of training")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch_start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        numbers = {name: round(float(value), 6) for name, value in (logs or {}).items()}
        rate = float(self.model.optimizer.learning_rate)
        seconds = round(time.perf_counter() - self.epoch_start, 2)
        self.run.add_row(stage=self.stage, epoch=epoch + 1, **numbers, learning_rate=f"{rate:.6g}", seconds=seconds)

    def get_state(self) -> dict[str, float]:
        """For a checkpoint inside an epoch: the seconds that it has taken."""
        return {"seconds": time.perf_counter() - self.epoch_start}

    def set_state(self, state: dict[str, float]) -> None:
        self.epoch_start = time.perf_counter() - state["seconds"]

    def on_train_end(self, logs: dict | None = None) -> None:
        history = self.model.history
        program = getattr(history, "program", {})
        if history.epoch and not program.get("traces"):
            print(f"{self.stage} was trained before the interruption: {len(history.epoch)} epochs")
        if history.epoch and (program.get("traces") or self.stage not in self.run.stages):
            seconds = sum(float(row["seconds"]) for row in self.run.rows if row["stage"] == self.stage)
            self.run.stages[self.stage] = {
                "epochs": len(history.epoch),
                "seconds": round(seconds, 1),
                "parameters": self.model.count_params(),
                "program": program,
            }
            self.run.write_about("running")
            if self.estimated:
                print(f"{self.stage}: {seconds:.0f} s of training, {self.estimated:.0f} were estimated")
        self.ended = True

    def rescue(self) -> str:
        """Save the best model so far and the curves; say where the work was stopped."""
        history = self.model.history
        if not history.epoch:
            return f" in the first epoch of '{self.stage}'"
        from keras_llm.plots import plot_history, save

        save(plot_history(history, title=f"{self.stage} (interrupted)"), self.run.output / INTERRUPTED)
        best = self.early_stopping.best_weights if self.early_stopping is not None else None
        if best is not None:
            self.model.set_weights(best)
        if self.text_model is not None and not self.text_model.is_finished(self.run.output):
            self.text_model.model = self.model
            self.text_model.save(self.run.output, interrupted=True)
        if self.ended:
            return f" after the training of '{self.stage}'"
        return f" in '{self.stage}' after {len(history.epoch)} of {self.params['epochs']} epochs"

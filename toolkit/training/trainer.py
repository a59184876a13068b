"""The loop over epochs, with a checkpoint after each, until the end or an early stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from toolkit.declarations import RunEvent
from toolkit.errors import PlanRefusedError, UnreadableInputError, UnsupportedError
from toolkit.store import publish_text
from toolkit.training.batches import epoch_batches, sample_images
from toolkit.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from toolkit.training.folder import RunFolder
from toolkit.training.history import EpochRecord, history_csv
from toolkit.training.schedule import learning_rate
from toolkit.training.task import TrainingTask
from toolkit.training.train_state import TrainState
from toolkit.vocabulary import percent

_UPDATE_EVERY = 0.1  # seconds between two progress updates


@dataclass
class Trainer:
    """Trains a network, epoch after epoch; ``run`` is the digest of the run's record.

    ``save_best`` saves the network as the run's model, given its validation accuracy.
    """

    task: TrainingTask
    state: TrainState
    folder: RunFolder
    run: str
    save_best: Callable[[float], object]
    notify: Callable[[RunEvent], None]

    def __post_init__(self) -> None:
        task = self.task
        self._sample = sample_images(task.fit, task.options.recalibration, task.seed)
        self._highest_rate = task.options.highest_rate(fine_tuning=task.start_from is not None)

    def train(self) -> Checkpoint:
        """Train from the start or from the checkpoint to the end; returns the last checkpoint."""
        checkpoint = self._resumed()
        while checkpoint is None or not self._is_over(checkpoint):
            checkpoint = self._epoch(checkpoint)
        return checkpoint

    def _resumed(self) -> Checkpoint | None:
        if not self.task.resume:
            return None
        checkpoint = read_checkpoint(self.folder.checkpoint)
        if checkpoint is None:
            self.task.progress.note("no checkpoint yet: starting with epoch 1")
            return None
        if checkpoint.run != self.run:
            raise PlanRefusedError(
                f"{self.folder.checkpoint} is of another training than {self.folder.record.name}",
                hint="start a new run",
            )
        self.state.restore(checkpoint.state)
        publish_text(self.folder.history, history_csv(checkpoint.records))
        self.task.progress.note(f"resuming after epoch {checkpoint.epochs} of {self.task.options.epochs}")
        return checkpoint

    def _is_over(self, checkpoint: Checkpoint) -> bool:
        options = self.task.options
        waited = checkpoint.epochs - checkpoint.best_epoch
        return checkpoint.epochs >= options.epochs or 0 < options.patience <= waited

    def _epoch(self, before: Checkpoint | None) -> Checkpoint:
        records = () if before is None else before.records
        epoch = len(records) + 1
        started = time.monotonic()
        loss, accuracy, rate, speed = self._train_epoch(epoch)
        trained = time.monotonic()
        val_loss, val_accuracy = self._validate(epoch)
        ended = time.monotonic()
        record = EpochRecord(epoch, loss, accuracy, val_loss, val_accuracy, rate, speed, ended - started)
        state = self.state.state()
        if before is None or val_accuracy > before.best_accuracy:
            best_epoch, best = epoch, {name: state[name] for name in state if name.startswith("network/")}
            # Before the checkpoint: a kill between the two repeats the epoch and saves the same.
            self.save_best(val_accuracy)
        else:
            best_epoch, best = before.best_epoch, dict(before.best)
        checkpoint = Checkpoint(self.run, (*records, record), best_epoch, state, best)
        write_checkpoint(self.folder.checkpoint, checkpoint)
        publish_text(self.folder.history, history_csv(checkpoint.records))
        self._report(checkpoint, len(self.task.fit) / speed + ended - trained)
        return checkpoint

    def _train_epoch(self, epoch: int) -> tuple[float, float, float, float]:
        """One pass over the fit images: mean loss, accuracy, last learning rate, images per second."""
        task, options = self.task, self.task.options
        images = len(task.fit)
        steps = math.ceil(images / options.batch_size)
        planned = steps * options.epochs
        task.progress.begin(f"epoch {epoch}/{options.epochs}", images, "images")
        done = correct = 0
        total = 0.0
        rate = speed = 0.0
        started = updated = time.monotonic()
        untimed = 0  # images of the first step, which compiles the network
        batches = epoch_batches(task.fit, options.batch_size, seed=task.seed, epoch=epoch - 1)
        for index, (pixels, labels) in enumerate(batches):
            step = (epoch - 1) * steps + index
            rate = learning_rate(step, planned, highest=self._highest_rate, warmup=options.warmup)
            loss, hits = self.state.train_step(pixels, labels, step=step, rate=rate)
            if not math.isfinite(loss):
                raise self._diverged(epoch, f"the loss is {loss}")
            done += len(labels)
            total += loss * len(labels)
            correct += hits
            now = time.monotonic()
            speed = (done - untimed) / max(now - started, 1e-9)
            if now - updated >= _UPDATE_EVERY or done == images:
                updated = now
                detail = f"loss {total / done:.2f} acc {percent(correct / done, 1)}"
                if index > 0 or done == images:
                    left = (images * (options.epochs - epoch + 1) - done) / speed
                    detail += f" {speed:,.0f}/s {clock(left)} left"
                task.progress.advance(done, detail)
            if index == 0 and done < images:
                started, untimed = now, done
        task.progress.end()
        return total / images, correct / images, rate, speed

    def _validate(self, epoch: int) -> tuple[float, float]:
        """Recalibrate, and return loss and accuracy on the validation images."""
        try:
            self._recalibrate()
            evaluation = self.state.evaluate(self.task.validation)
        except UnsupportedError:
            raise
        except UnreadableInputError as error:
            raise self._diverged(epoch, error.message) from error
        return evaluation.log_loss, evaluation.accuracy

    def _recalibrate(self) -> None:
        try:
            self.state.recalibrate(self._sample)
        except UnsupportedError as error:
            self.task.progress.note(f"running averages are kept as batch statistics: {error.message}")
            self._sample = self._sample[:0]

    def _diverged(self, epoch: int, reason: str) -> PlanRefusedError:
        best = f", or use {self.folder.model}, the best so far" if epoch > 1 else ""
        return PlanRefusedError(
            f"training diverged in epoch {epoch}: {reason}",
            hint=f"start a new run with a learning_rate below {self._highest_rate:g}{best}",
        )

    def _report(self, checkpoint: Checkpoint, seconds_per_epoch: float) -> None:
        record, epochs = checkpoint.records[-1], self.task.options.epochs
        over = self._is_over(checkpoint)
        left = 0.0 if over else (epochs - record.epoch) * seconds_per_epoch
        best = "  best" if checkpoint.best_epoch == record.epoch else ""
        self.task.progress.note(
            f"epoch {record.epoch}/{epochs}  loss {record.loss:.3f}  acc {percent(record.accuracy, 1)}  "
            f"val {percent(record.val_accuracy)}  {record.images_per_second:,.0f} images/s  "
            f"{clock(left)} left{best}"
        )
        if over and record.epoch < epochs:
            waited = record.epoch - checkpoint.best_epoch
            self.task.progress.note(f"stopped early: no better validation accuracy in {waited} epochs")
        metrics = asdict(record)
        del metrics["epoch"]
        self.notify(RunEvent("epoch", self.folder.path, record.epoch, epochs, metrics=metrics))


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"

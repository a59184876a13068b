"""Epoch after epoch, until the plan is done or validation stops improving."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from toolkit.declarations import RunEvent
from toolkit.errors import PlanRefusedError
from toolkit.store import publish_text
from toolkit.training.batches import epoch_batches, steps_per_epoch
from toolkit.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from toolkit.training.folder import RunFolder
from toolkit.training.history import EpochRecord, history_csv
from toolkit.training.learner import Learner
from toolkit.training.request import TrainingRequest
from toolkit.training.schedule import WarmupCosine
from toolkit.training.statistics import clean_sample

Heard = Callable[[RunEvent], None]
_ANNOUNCED_EVERY = 0.1  # seconds between two reports of progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a fit ended.

    Attributes:
        records: One for each epoch.
        best_epoch: The epoch with the best validation accuracy, the first of equals, from 1.
        best: The network's state after it.
    """

    records: tuple[EpochRecord, ...]
    best_epoch: int
    best: Mapping[str, NDArray[Any]]


class Fitting:
    """The loop over epochs, with a checkpoint after each.

    Args:
        request: Of the training.
        learner: Holds the network.
        folder: Of the run.
        configuration: Digest of the run's configuration.
        keep: Publishes the network as the run's model.
        heard: Tells the listeners.
    """

    def __init__(
        self,
        request: TrainingRequest,
        learner: Learner,
        folder: RunFolder,
        configuration: str,
        *,
        keep: Callable[[], object],
        heard: Heard,
    ) -> None:
        self._request = request
        self._learner = learner
        self._folder = folder
        self._configuration = configuration
        self._keep = keep
        self._heard = heard
        options = request.options
        self._sample = clean_sample(request.fit, options.settling, request.seed)
        self._steps = steps_per_epoch(len(request.fit), options.batch_size)
        self._schedule = WarmupCosine(
            options.highest_rate(fine_tuning=request.start_from is not None),
            self._steps * options.epochs,
            options.warmup,
        )

    def fit(self) -> Outcome:
        """Train from the start or from the checkpoint to the end.

        Raises:
            DamagedFileError: If the checkpoint is damaged.
            PlanRefusedError: If the checkpoint is of another training, or this one diverges.
            StorageError: If the disk refuses.
        """
        checkpoint = self._resumed()
        while checkpoint is None or not self._is_over(checkpoint):
            checkpoint = self._epoch(checkpoint)
        return Outcome(checkpoint.records, checkpoint.best_epoch, checkpoint.best)

    def _resumed(self) -> Checkpoint | None:
        if not self._request.resume:
            return None
        checkpoint = read_checkpoint(self._folder.checkpoint)
        if checkpoint is None:
            self._request.progress.note("there is no checkpoint yet: beginning with epoch 1")
            return None
        if checkpoint.configuration != self._configuration:
            raise PlanRefusedError(
                f"{self._folder.checkpoint} is of another training than its config.json says",
                hint="start a new run",
            )
        self._learner.restore(checkpoint.state)
        self._write_history(checkpoint.records)
        self._request.progress.note(
            f"resuming after epoch {checkpoint.epochs} of {self._request.options.epochs}"
        )
        return checkpoint

    def _is_over(self, checkpoint: Checkpoint) -> bool:
        options = self._request.options
        waited = checkpoint.epochs - checkpoint.best_epoch
        return checkpoint.epochs >= options.epochs or 0 < options.patience <= waited

    def _epoch(self, before: Checkpoint | None) -> Checkpoint:
        records = () if before is None else before.records
        started = time.monotonic()
        loss, accuracy, rate, speed = self._learn(before)
        learnt = time.monotonic()
        self._learner.settle_statistics(self._sample)
        scores = self._learner.evaluate(self._request.validation)
        judging = time.monotonic() - learnt
        self._expect_finite("validation loss", scores.loss, before)
        record = EpochRecord(
            epoch=len(records) + 1,
            loss=loss,
            accuracy=accuracy,
            val_loss=scores.loss,
            val_accuracy=scores.accuracy,
            learning_rate=rate,
            images_per_second=speed,
            seconds=time.monotonic() - started,
        )
        records = (*records, record)
        improved = before is None or record.val_accuracy > before.best_accuracy
        state = self._learner.state()
        if before is None or improved:
            best_epoch, best = record.epoch, self._learner.network_state()
            # Before the checkpoint: a kill between the two repeats the epoch and writes the same.
            self._keep()
        else:
            best_epoch, best = before.best_epoch, dict(before.best)
        checkpoint = Checkpoint(self._configuration, records, best_epoch, state, best)
        write_checkpoint(self._folder.checkpoint, checkpoint)
        self._write_history(records)
        self._report(checkpoint, len(self._request.fit) / speed + judging)
        return checkpoint

    def _learn(self, before: Checkpoint | None) -> tuple[float, float, float, float]:
        """One pass over the fit images.

        Returns:
            Mean loss, accuracy, the last learning rate, and images a second.
        """
        request, options = self._request, self._request.options
        epoch = 0 if before is None else before.epochs
        images = len(request.fit)
        request.progress.begin(f"epoch {epoch + 1}/{options.epochs}", images, "images")
        done = correct = 0
        total = 0.0
        rate = speed = 0.0
        started = announced = time.monotonic()
        timed = 0  # images; the first step of a process compiles the network, and says nothing of its pace
        batches = epoch_batches(request.fit, options.batch_size, seed=request.seed, epoch=epoch)
        for index, (pixels, labels) in enumerate(batches):
            step = epoch * self._steps + index
            rate = self._schedule.rate(step)
            result = self._learner.learn(pixels, labels, step=step, rate=rate)
            self._expect_finite("loss", result.loss, before)
            done += len(labels)
            total += result.loss * len(labels)
            correct += result.correct
            now = time.monotonic()
            speed = (done - timed) / max(now - started, 1e-9)
            if now - announced >= _ANNOUNCED_EVERY or done == images:
                announced = now
                detail = f"loss {total / done:.2f} acc {correct / done:.1%}"
                if index > 0 or done == images:
                    left = (images * (options.epochs - epoch) - done) / speed
                    detail += f" {speed:,.0f}/s {clock(left)} left"
                request.progress.advance(done, detail)
            if index == 0 and done < images:
                started, timed = now, done
        request.progress.end()
        return total / images, correct / images, rate, speed

    def _expect_finite(self, what: str, value: float, before: Checkpoint | None) -> None:
        """Stop a training that diverged: nothing good comes after it, and the checkpoint is from before.

        Raises:
            PlanRefusedError: If the value is no number.
        """
        if math.isfinite(value):
            return
        epoch = 1 if before is None else before.epochs + 1
        kept = f", or take {self._folder.model}, the best so far" if before is not None else ""
        raise PlanRefusedError(
            f"the training diverged in epoch {epoch}: the {what} is {value}",
            hint=f"start a new run with a learning_rate below {self._schedule.highest:g}{kept}",
        )

    def _write_history(self, records: tuple[EpochRecord, ...]) -> None:
        publish_text(self._folder.history, history_csv(records))

    def _report(self, checkpoint: Checkpoint, seconds_an_epoch: float) -> None:
        record, epochs = checkpoint.records[-1], self._request.options.epochs
        over = self._is_over(checkpoint)
        left = 0.0 if over else (epochs - record.epoch) * seconds_an_epoch
        best = "  best" if checkpoint.best_epoch == record.epoch else ""
        self._request.progress.note(
            f"epoch {record.epoch}/{epochs}  loss {record.loss:.3f}  acc {record.accuracy:.1%}  "
            f"val {record.val_accuracy:.2%}  {record.images_per_second:,.0f} images/s  "
            f"{clock(left)} left{best}"
        )
        if over and record.epoch < epochs:
            self._request.progress.note(
                f"stopped: no better validation accuracy in {record.epoch - checkpoint.best_epoch} epochs"
            )
        self._heard(RunEvent("epoch", self._folder.path, record.epoch, epochs, metrics=record.metrics()))


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"

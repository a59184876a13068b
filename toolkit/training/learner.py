"""A network that learns: one step, one evaluation, and all the state that they depend on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.errors import UnsupportedError
from toolkit.training.augmentation import augment
from toolkit.training.framework import load_tensorflow
from toolkit.training.plan import TrainingOptions
from toolkit.training.statistics import StatisticsSettler
from toolkit.vocabulary import Convention

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_EVALUATED_AT_ONCE = 1024
_SMALLEST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class Scores:
    """How a network does on a set of images.

    Attributes:
        loss: Mean cross entropy in nats, without smoothing and class weights.
        accuracy: 0 to 1.
        predicted: (n,) int32, the class given to each image.
    """

    loss: float
    accuracy: float
    predicted: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step saw.

    Attributes:
        loss: Mean over the batch of what is minimised.
        correct: Images of the batch that were recognised, as the network saw them.
    """

    loss: float
    correct: int


class Learner:
    """Owns the network, the optimizer and the compiled step.

    Args:
        network: One input that holds 28×28 values, one output (n, classes).
        convention: How the network wants its pixels.
        options: Of the training.
        weights: (classes,) float32, how much each class counts.
        seed: 0 or above; every random choice comes from it.
        gives_logits: Whether the output is logits instead of probabilities.

    Raises:
        UnsupportedError: If the network does not take 28×28 values.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        convention: Convention,
        options: TrainingOptions,
        weights: NDArray[np.float32],
        seed: int,
        gives_logits: bool = False,
    ) -> None:
        load_tensorflow()
        import keras

        self.network = network
        self._seed = seed
        self._pixels = _pixel_preparation(network, convention)
        self._optimizer = keras.optimizers.AdamW(learning_rate=0.0, weight_decay=options.weight_decay)
        # Decay shrinks what multiplies pixels and features, not offsets and scales.
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(network.trainable_variables)
        _seed_generators(network, seed)
        self._gives_logits = gives_logits
        self._options = options
        self._weights = weights
        self._probabilities = self._compile_probabilities()
        self._settler = StatisticsSettler(network, self._pixels)

    def learn(
        self, images: NDArray[np.uint8], labels: NDArray[np.int32], *, step: int, rate: float
    ) -> StepResult:
        """Take one gradient step.

        Args:
            images: (b, 28, 28) uint8, upright, light ink.
            labels: (b,) int32.
            step: Number of steps before this one in the whole training; seeds the augmentation.
            rate: Learning rate.

        Raises:
            UnsupportedError: If all layers of the network are frozen.
        """
        import tensorflow as tf

        seed = tf.constant((self._seed & 0x7FFFFFFF, step & 0x7FFFFFFF), dtype=tf.int32)
        loss, correct = self._step(
            tf.constant(images), tf.constant(labels), seed, tf.constant(rate, dtype=tf.float32)
        )
        return StepResult(float(loss), int(correct))

    def settle_statistics(self, images: NDArray[np.uint8]) -> None:
        """Set the batch statistics to those of the images as they are; what is learnt stays.

        Args:
            images: (n, 28, 28) uint8, upright, light ink; none leave the statistics as they are.
        """
        self._settler.settle(images)

    def evaluate(self, dataset: Dataset) -> Scores:
        """Score the network, dropout off and running statistics in use; changes no state."""
        import tensorflow as tf

        predicted = np.empty(len(dataset), dtype=np.int32)
        total = 0.0
        for start in range(0, len(dataset), _EVALUATED_AT_ONCE):
            part = slice(start, start + _EVALUATED_AT_ONCE)
            images = np.ascontiguousarray(dataset.images[part])
            labels = np.asarray(dataset.labels[part])
            rows = self._probabilities(tf.constant(images)).numpy()
            predicted[part] = rows.argmax(axis=1)
            chosen = rows[np.arange(len(labels)), labels].astype(np.float64)
            total -= float(np.log(np.maximum(chosen, _SMALLEST_PROBABILITY)).sum())
        accuracy = float(np.mean(predicted == dataset.labels))
        return Scores(total / len(dataset), accuracy, predicted)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that the next step depends on, copied; beside the step's number and the images."""
        return {
            name: np.array(variable.numpy())
            for name, variable in (*self._named("network"), *self._named("optimizer"))
        }

    def network_state(self) -> dict[str, NDArray[Any]]:
        """The network's part of :meth:`state`."""
        return {name: np.array(variable.numpy()) for name, variable in self._named("network")}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to an earlier state of the same network, whole or the network's part of it.

        Raises:
            UnsupportedError: If the state is of another network.
        """
        parts = [self._named("network")]
        if any(name.startswith("optimizer/") for name in state):
            parts.append(self._named("optimizer"))
        variables = dict(pair for part in parts for pair in part)
        if variables.keys() != state.keys() or any(
            tuple(variables[name].shape) != state[name].shape for name in state
        ):
            raise UnsupportedError(
                "the checkpoint is of another network than the run's configuration describes",
                hint="start a new run",
            )
        for name, variable in variables.items():
            variable.assign(state[name])

    def _named(self, part: str) -> list[tuple[str, Any]]:
        variables = self.network.variables if part == "network" else self._optimizer.variables
        # By place, not by Keras' names, which count the networks that a process has made.
        return [(f"{part}/{index:04d}", item) for index, item in enumerate(variables)]

    @cached_property
    def _step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        import tensorflow as tf

        options, weights = self._options, self._weights
        classes = len(weights)
        network, optimizer, pixels = self.network, self._optimizer, self._pixels
        if not network.trainable_variables:
            raise UnsupportedError(
                f"every layer of {network.name} is frozen: there is nothing to train",
                hint="save it with trainable=True first",
            )
        table = tf.constant(weights)
        kept = 1.0 - options.label_smoothing

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec((None, 28, 28), tf.uint8),
                tf.TensorSpec((None,), tf.int32),
                tf.TensorSpec((2,), tf.int32),
                tf.TensorSpec((), tf.float32),
            ]
        )
        def step(
            images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            unit = tf.cast(images[..., tf.newaxis], tf.float32) / 255.0
            inputs = pixels(augment(unit, options, seed))
            targets = kept * tf.one_hot(labels, classes) + (1.0 - kept) / classes
            with tf.GradientTape() as tape:
                outputs = tf.cast(network(inputs, training=True), tf.float32)
                each = -tf.reduce_sum(targets * self._log_probabilities(outputs), axis=1)
                loss = tf.reduce_mean(each * tf.gather(table, labels))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.learning_rate.assign(rate)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            hits = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), labels)
            return loss, tf.math.count_nonzero(hits)

        return step.get_concrete_function()  # type: ignore[no-any-return]

    def _compile_probabilities(self) -> Callable[[tf.Tensor], tf.Tensor]:
        import tensorflow as tf

        network, pixels, gives_logits = self.network, self._pixels, self._gives_logits

        @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.uint8)])  # type: ignore[untyped-decorator]
        def probabilities(images: tf.Tensor) -> tf.Tensor:
            unit = tf.cast(images[..., tf.newaxis], tf.float32) / 255.0
            outputs = tf.cast(network(pixels(unit), training=False), tf.float32)
            return tf.nn.softmax(outputs) if gives_logits else outputs

        return probabilities.get_concrete_function()  # type: ignore[no-any-return]

    def _log_probabilities(self, outputs: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        if self._gives_logits:
            return tf.nn.log_softmax(outputs)
        return tf.math.log(tf.maximum(outputs, _SMALLEST_PROBABILITY))


def _pixel_preparation(network: keras.Model, convention: Convention) -> Callable[[tf.Tensor], tf.Tensor]:
    """From (b, 28, 28, 1) float32, upright, light ink, x/255, to what the network takes."""
    import tensorflow as tf

    shape = tuple(network.input_shape[1:]) if isinstance(network.input_shape, tuple) else ()
    if None in shape or int(np.prod(shape, dtype=np.int64)) != 28 * 28 or not shape:
        raise UnsupportedError(
            f"the network takes an input of {network.input_shape}",
            hint="training takes networks for (28, 28, 1), (1, 28, 28), (28, 28) or (784,) values",
        )

    def prepare(unit: tf.Tensor) -> tf.Tensor:
        values = unit
        if convention.orientation == "transposed":
            values = tf.transpose(values, (0, 2, 1, 3))
        if convention.ink == "dark":
            values = 1.0 - values
        if convention.scale == "raw":
            values = values * 255.0
        elif convention.scale == "standard":
            values = (values - convention.mean) / convention.deviation
        return tf.reshape(values, (-1, *shape))

    return prepare


def _seed_generators(network: keras.Model, seed: int) -> None:
    """Give every random generator a state of its own that depends on the seed and on its place.

    Fine-tunings of one ancestor would otherwise all drop the same units.
    """
    generators = [variable for variable in network.variables if "seed_generator" in variable.path]
    for place, variable in enumerate(generators):
        words = [zlib.crc32(f"{seed}\0{place}\0{index}".encode()) for index in range(2)]
        variable.assign(np.array(words, dtype=np.uint32).reshape(variable.shape))

"""A network in training: its optimizer, one step, and all the state that they depend on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.engine import (
    Evaluation,
    Network,
    batch_statistics,
    evaluate,
    require_character_network,
    usable_processors,
)
from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit.tensors import ArrayTensors
from toolkit.training.augmentation import augment
from toolkit.training.framework import load_tensorflow
from toolkit.training.keras_bridge import frozen_weights, named_weights
from toolkit.training.options import TrainingOptions
from toolkit.vocabulary import Convention

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_SMALLEST_PROBABILITY = 1e-7


@dataclass(eq=False)
class TrainState:
    """The network, the optimizer and the compiled training step.

    ``template`` is the network as a model, with classes and convention in its card; ``weights``,
    (classes,) float32, is the weight of each class in the loss.
    """

    network: keras.Model
    template: Model
    options: TrainingOptions
    weights: NDArray[np.float32]
    seed: int

    def __post_init__(self) -> None:
        load_tensorflow()
        import keras

        require_character_network(self.template)
        self._optimizer = keras.optimizers.AdamW(learning_rate=0.0, weight_decay=self.options.weight_decay)
        # Decay shrinks kernels, not offsets and scales.
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(self.network.trainable_variables)
        _seed_generators(self.network, self.seed)

    def train_step(
        self, images: NDArray[np.uint8], labels: NDArray[np.int32], *, step: int, rate: float
    ) -> tuple[float, int]:
        """Take one gradient step; return mean loss and number of correct predictions.

        ``step`` counts from 0 over the whole training, and seeds augmentation.
        """
        import tensorflow as tf

        seed = tf.constant((self.seed & 0x7FFFFFFF, step & 0x7FFFFFFF), dtype=tf.int32)
        loss, correct = self._step(
            tf.constant(images), tf.constant(labels), seed, tf.constant(rate, dtype=tf.float32)
        )
        return float(loss), int(correct)

    def recalibrate(self, images: NDArray[np.uint8]) -> None:
        """Set the batch statistics of layers that are not frozen to those of images without augmentation.

        The running averages of a training describe augmented images and lag behind the weights
        (Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3).
        """
        if not len(images):
            return
        statistics = batch_statistics(self.model(), images, frozen=frozen_weights(self.network))
        for name, weight in named_weights(self.network):
            if name in statistics:
                weight.assign(statistics[name])

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Evaluate the network as it is now; changes no state."""
        return evaluate(Network.of(self.model(), threads=usable_processors()), dataset)

    def model(self) -> Model:
        """The network as it is now, as a model in memory."""
        weights = {name: np.array(weight.numpy()) for name, weight in named_weights(self.network)}
        specs = self.template.tensors.specs
        return self.template.with_tensors(
            ArrayTensors({name: (weights[name], spec.role) for name, spec in specs.items()})
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that the next step depends on, except its number and its images."""
        return {name: np.array(variable.numpy()) for name, variable in self._variables().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Return to an earlier state of the same network, or to the network's part of it."""
        parts = {name.partition("/")[0] for name in state}
        variables = {
            name: item for name, item in self._variables().items() if name.partition("/")[0] in parts
        }
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        if shapes != {name: array.shape for name, array in state.items()}:
            raise UnsupportedError(
                "the checkpoint is of another network than the run's record describes",
                hint="start a new run",
            )
        for name, variable in variables.items():
            variable.assign(state[name])

    def _variables(self) -> dict[str, Any]:
        # By position: Keras' own names count the networks of the process.
        return {
            f"{part}/{index:04d}": item
            for part, owner in (("network", self.network), ("optimizer", self._optimizer))
            for index, item in enumerate(owner.variables)
        }

    @cached_property
    def _step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        import tensorflow as tf

        options, network, optimizer = self.options, self.network, self._optimizer
        convention = self.template.card.convention or Convention()
        scores = Network.of(self.model()).scores
        if not network.trainable_variables:
            raise UnsupportedError(
                f"every layer of {network.name} is frozen: there is nothing to train",
                hint="save it with trainable=True first",
            )
        table, classes = tf.constant(self.weights), len(self.weights)
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
            inputs = prepare_pixels(augment(unit, options, seed), convention, self.template.input_shape)
            targets = kept * tf.one_hot(labels, classes) + (1.0 - kept) / classes
            with tf.GradientTape() as tape:
                outputs = tf.cast(network(inputs, training=True), tf.float32)
                if scores == "logits":
                    logarithms = tf.nn.log_softmax(outputs)
                else:
                    logarithms = tf.math.log(tf.maximum(outputs, _SMALLEST_PROBABILITY))
                each = -tf.reduce_sum(targets * logarithms, axis=1)
                if scores == "sigmoid":  # binary cross-entropy: each output is a question of its own
                    others = tf.math.log(tf.maximum(1.0 - outputs, _SMALLEST_PROBABILITY))
                    each -= tf.reduce_sum((1.0 - targets) * others, axis=1)
                loss = tf.reduce_mean(each * tf.gather(table, labels))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.learning_rate.assign(rate)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            hits = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), labels)
            return loss, tf.math.count_nonzero(hits)

        return step.get_concrete_function()  # type: ignore[no-any-return]


def prepare_pixels(values: tf.Tensor, convention: Convention, shape: tuple[int, ...]) -> tf.Tensor:
    """From (b, 28, 28, 1) float32, upright, light ink, x/255, to inputs of a network."""
    import tensorflow as tf

    if convention.orientation == "transposed":
        values = tf.transpose(values, (0, 2, 1, 3))
    if convention.ink == "dark":
        values = 1.0 - values
    if convention.scale == "raw":
        values = values * 255.0
    elif convention.scale == "standard":
        values = (values - convention.mean) / convention.deviation
    return tf.reshape(values, (-1, *shape))


def _seed_generators(network: keras.Model, seed: int) -> None:
    """Give every random generator its own state; otherwise all fine-tunings would drop the same units."""
    generators = [variable for variable in network.variables if "seed_generator" in variable.path]
    for place, variable in enumerate(generators):
        words = [zlib.crc32(f"{seed}\0{place}\0{index}".encode()) for index in range(2)]
        variable.assign(np.array(words, dtype=np.uint32).reshape(variable.shape))

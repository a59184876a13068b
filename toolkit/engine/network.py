"""A model that is ready to run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.data.convention import apply_convention
from toolkit.engine.scores import find_scores
from toolkit.engine.session import BATCH, Session
from toolkit.errors import UnreadableInputError, UnsupportedError, UsageError
from toolkit.graph import Graph
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit.vocabulary import CHARACTER_SHAPES, Convention, Scores, sizes


def is_character_network(model: Model) -> bool:
    """Whether the network takes single glyphs of 28×28 and gives one number a class."""
    return model.input_shape in CHARACTER_SHAPES and len(model.output_shape) == 1


def require_character_network(model: Model) -> None:
    """Refuse, with UnsupportedError, a network that does not read single glyphs of 28×28."""
    if model.input_shape not in CHARACTER_SHAPES:
        supported = ", ".join(sizes(shape) for shape in CHARACTER_SHAPES)
        raise UnsupportedError(
            f"{model.name}: the network takes inputs of {sizes(model.input_shape)}, "
            f"not single-channel images of 28×28 ({supported})",
            hint="only networks for 28×28 characters can be run on characters",
        )
    if len(model.output_shape) != 1:
        raise UnsupportedError(
            f"{model.name}: the network's output is {sizes(model.output_shape)}, not one number per class",
            hint="only networks that classify can be run on characters",
        )


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities from logits, along the last axis, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted, dtype=np.float64)
    probabilities: NDArray[np.float32] = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return probabilities


class Network:
    """One model in onnxruntime, made by :meth:`of`; safe to use from several threads.

    Attributes:
        name: Name of the model.
        classes: Number of outputs.
        labels: Characters by output; empty if the card does not name them.
        input_shape: Shape of one image, without the batch axis.
        convention: The network's input format from its card; None if unknown.
    """

    def __init__(self, session: Session, graph: Graph, model: Model) -> None:
        self._session = session
        self._graph = graph
        self._model = model
        self.name = model.name
        self.classes = model.classes
        self.labels = model.card.classes
        self.input_shape = model.input_shape
        self.convention = model.card.convention

    @classmethod
    def of(cls, model: Model, *, threads: int = 1) -> Network:
        """Bind a model's tensors to its graph and load it; reads every tensor once.

        Args:
            threads: Number of threads for one operation: 1 if several callers run at once,
                :func:`toolkit.engine.usable_processors` for a single long job.

        Raises:
            UnsupportedError: If the network has a layer that is not known.
            UnreadableInputError: If its file is damaged.
        """
        graph = model.build_graph()
        return cls(Session(to_onnx(graph, model.tensors), model.name, threads=threads), graph, model)

    @cached_property
    def scores(self) -> Scores:
        """What the network's own outputs are; runs it on a few fixed inputs."""
        return find_scores(self._graph, self.run)

    def probabilities(
        self, images: NDArray[np.uint8], convention: Convention | None = None
    ) -> NDArray[np.float32]:
        """The probability of each class for each image.

        Args:
            images: (n, 28, 28) uint8, upright, light ink on a dark ground; perhaps memory-mapped.
            convention: The network's input format; by default that of its card, or upright/unit/light.

        Returns:
            (n, classes); each row sums to 1, except of a network with a sigmoid for each class, whose
            values are returned as they are.

        Raises:
            UnsupportedError: If the network does not take single glyphs of 28×28.
            UnreadableInputError: If an output is NaN or infinite.
            UsageError: If the images are not (n, 28, 28) uint8.
        """
        require_character_network(self._model)
        out = np.empty((len(images), self.classes), dtype=np.float32)
        for part, inputs in input_batches(images, convention or self.convention, self.input_shape):
            answers = self._answer(inputs)
            out[part] = softmax(answers) if self.scores == "logits" else answers
        bad = len(out) - int(np.isfinite(out).all(axis=1).sum())
        if bad:
            raise UnreadableInputError(
                f"{self.name}: the outputs for {bad} of {len(out)} images are NaN or infinite",
                hint="its weights are damaged, or its training diverged",
            )
        return out

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's own outputs, (n, *output_shape) probabilities or logits.

        Takes (n, *input_shape) float32, in the network's input format.
        """
        if inputs.shape[1:] != self.input_shape:
            raise UsageError(
                f"{self.name}: got inputs of {sizes(inputs.shape[1:])}, "
                f"the network takes {sizes(self.input_shape)}"
            )
        out = np.empty((len(inputs), *self._model.output_shape), dtype=np.float32)
        for start in range(0, len(inputs), BATCH):
            part = slice(start, start + BATCH)
            out[part] = self._answer(np.ascontiguousarray(inputs[part], dtype=np.float32))
        return out

    def _answer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        answers: NDArray[np.float32]
        (answers,) = self._session.run({self._graph.input: inputs})
        expected = (len(inputs), *self._model.output_shape)
        if answers.shape != expected:
            raise UnreadableInputError(
                f"{self.name}: the network's output is {sizes(answers.shape)}, expected {sizes(expected)}",
                hint="the output shape in its file is wrong",
            )
        return answers


def input_batches(
    images: NDArray[np.uint8],
    convention: Convention | None,
    input_shape: tuple[int, ...],
    *,
    batch: int = BATCH,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Convert (n, 28, 28) images to a network's (batch, *input_shape) float32 inputs, some at a time."""
    for start in range(0, len(images), batch):
        part = slice(start, min(start + batch, len(images)))
        yield part, apply_convention(images[part], convention or Convention(), input_shape)

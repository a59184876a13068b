"""The same network for inputs of another scale: an affine map folded into its first layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import UnsupportedError
from toolkit.graph import Graph, Node, consumers, node_key
from toolkit.graph.axes import RESHAPES
from toolkit.graph.channels import Shape
from toolkit.model.affine import Affine, Numbers, alike, as_shape, filled
from toolkit.model.keras_description import rescaled_description
from toolkit.model.model import Model
from toolkit.model.padding import is_padded, padded_before, padding_of
from toolkit.tensors import OverlaidTensors, Tensors, TensorSpec


def rescaled(model: Model, scale: float, shift: float, *, tensors_only: bool = False) -> Model:
    """The network that computes for x what the original computes for ``scale``·x + ``shift``.

    The map moves forward from the input, through operations that it may be swapped with, into the
    first layers: a factor into any kernel, a shift into a bias or a running mean. Computed in
    float64, cast once. Tensors change; only if that is not enough, the numbers of a Rescaling layer
    and other constants do, and networks that are not Keras' pad with another number than zero.

    Args:
        tensors_only: Whether nothing else may change, so that the network still corresponds to others.

    Raises:
        UnsupportedError: If the result would not be the same everywhere: a shift before zero
            padding, a negative factor before a maximum, a nonlinearity before any layer with weights.
    """
    try:
        return _folded(model, scale, shift, edits=False)
    except UnsupportedError as error:
        if tensors_only:
            raise
        try:
            return _folded(model, scale, shift, edits=True)
        except UnsupportedError:
            raise error from None


def _folded(model: Model, scale: float, shift: float, *, edits: bool) -> Model:
    graph = model.build_graph()
    walk = _Walk(model.name, graph, model.tensors, constants=edits, nodes=edits and model.dialect != "keras")
    walk.follow_all(scale, shift)
    bindings = {binding.tensor: binding.rearrangement for binding in graph.bindings}
    arrays = {
        name: bindings[name].inverse(array).reshape(model.tensors.specs[name].shape)
        for name, array in walk.changed.items()
        if name in bindings
    }
    changed = {
        name: array.astype(graph.constants[name].dtype)
        for name, array in walk.changed.items()
        if name not in bindings
    }
    description = model.description
    if changed and model.dialect == "keras":
        numbers = {(node.layer, node.operator): changed[name] for name, node in walk.constants_of(changed)}
        known = rescaled_description(description, numbers)
        if known is None:
            walk.refuse_text("the first layer's numbers cannot be described in Keras")
        description = known
    graph = dataclasses.replace(
        graph,
        nodes=tuple(new for node in graph.nodes for new in walk.replaced.get(node_key(node), (node,))),
        constants={**graph.constants, **changed, **walk.added},
    )
    return dataclasses.replace(
        model,
        tensors=OverlaidTensors(model.tensors, arrays),
        describe_graph=lambda: graph,
        description=description,
    )


_PASSED = {"Cast", "Dropout", "Identity"}
_HOMOGENEOUS = {"LeakyRelu", "PRelu", "Relu"}
_AVERAGES = {"AveragePool", "GlobalAveragePool", "ReduceMean", "Resize", "Upsample"}
_MAXIMA = {"GlobalMaxPool", "MaxPool", "ReduceMax"}


@dataclass
class _Walk:
    """Moves the map from the input to the tensors that take it."""

    name: str
    graph: Graph
    tensors: Tensors
    constants: bool
    """Whether constants may change."""
    nodes: bool
    """Whether nodes may change."""
    pending: dict[str, Affine] = field(default_factory=dict)
    """Of every value that is not what it was."""
    changed: dict[str, Numbers] = field(default_factory=dict)
    """New bound tensors, in the graph's form, and constants."""
    replaced: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    """By key: the nodes that a node becomes."""
    added: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Further constants."""

    def __post_init__(self) -> None:
        from toolkit.graph.onnx_form import inferred_shapes

        specs: Mapping[str, TensorSpec] = self.tensors.specs
        self._bindings = {binding.tensor: binding.rearrangement for binding in self.graph.bindings}
        initializers = {name: moved.shape(specs[name].shape) for name, moved in self._bindings.items()}
        self._shapes: Mapping[str, Shape] = {**inferred_shapes(self.graph, initializers), **initializers}
        self._users = consumers(self.graph.nodes)

    def follow_all(self, scale: float, shift: float) -> None:
        """Visit every node."""
        ones = (1,) * (len(self.graph.input_shape) + 1)
        self.pending[self.graph.input] = Affine(np.full(ones, scale), np.full(ones, shift))
        for node in self.graph.nodes:
            if any(value in self.pending for value in node.inputs) and node.operator != "Shape":
                found = self._follow(node)
                if found is not None and not found.is_identity:
                    self.pending[node.outputs[0]] = found
        if self.graph.output in self.pending:
            self.refuse_text("it has no layer with weights")

    def constants_of(self, names: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
        """The constants with their nodes."""
        return ((name, use.node) for name in names for use in self._users[name])

    def _follow(self, node: Node) -> Affine | None:
        """The map of the output; None if the output is what it was."""
        if node.domain:
            self._refuse(node)
        operator = node.operator
        if operator in ("Add", "Sub", "Sum"):
            return self._sum(node)
        if operator in ("Mul", "Div"):
            return self._product(node)
        if operator == "Concat":
            return self._concat(node)
        if node.inputs[0] not in self.pending or any(value in self.pending for value in node.inputs[1:]):
            self._refuse(node)
        found = self.pending[node.inputs[0]]
        if operator in _PASSED:
            return found
        if operator in _HOMOGENEOUS:
            if found.has_shift or (found.scale <= 0).any():
                self._refuse(node, "is a nonlinearity that comes before a layer that could take the shift")
            return found
        if operator in RESHAPES or operator == "Transpose":
            return self._moved(node, found)
        if operator == "Slice" and found.scale.size == found.shift.size == 1:
            return found
        extrapolates = node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
        if operator in _AVERAGES | _MAXIMA and not extrapolates:
            return self._pooled(node, found)
        if operator == "Pad":
            return self._padded(node, found)
        if operator in ("Conv", "ConvTranspose"):
            return self._convolution(node, found)
        if operator in ("Gemm", "MatMul"):
            return self._dense(node, found)
        if operator == "BatchNormalization":
            return self._normalisation(node, found)
        return self._refuse(node)

    def _moved(self, node: Node, found: Affine) -> Affine:
        after = self._shape(node, node.outputs[0])
        if found.scale.size == found.shift.size == 1:
            return Affine(*(array.reshape((1,) * len(after)) for array in found.both))
        before = self._shape(node, node.inputs[0])
        spread = (np.broadcast_to(array, before) for array in found.both)
        if node.operator == "Transpose":
            perm = node.attributes.get("perm", tuple(reversed(range(len(before)))))
            return Affine(*(array.transpose(perm) for array in spread))
        return Affine(*(array.reshape(after) for array in spread))

    def _pooled(self, node: Node, found: Affine) -> Affine:
        rank = len(self._shape(node, node.inputs[0]))
        axes: Sequence[int] = range(2, rank)
        if node.operator.startswith("Reduce"):
            axes = node.attributes.get("axes", ())
            if not axes and len(node.inputs) > 1:
                axes = self.graph.constants.get(node.inputs[1], np.empty(0)).tolist()
            axes = [int(axis) % rank for axis in axes or range(rank)]
            if 0 in axes:
                self._refuse(node)
        scale, shift = (self._along(node, array, axes) for array in found.both)
        if node.operator in _MAXIMA and ((scale <= 0).any() or any(node.outputs[1:])):
            self._refuse(node, "takes a maximum, which a negative factor makes a minimum")
        if found.has_shift and node.attributes.get("count_include_pad") and is_padded(node):
            self._refuse(node, "averages zeros of its padding, which a shift would change")
        if not node.attributes.get("keepdims", 1):
            scale, shift = (np.squeeze(array, axis=tuple(axes)) for array in (scale, shift))
        return Affine(scale, shift)

    def _padded(self, node: Node, found: Affine) -> Affine:
        if node.attributes.get("mode", "constant") == "constant":
            value = node.inputs[2] if len(node.inputs) > 2 else ""
            filling = (
                self.graph.constants.get(value) if value else np.float64(node.attributes.get("value", 0.0))
            )
            if filling is None or not np.array_equal(
                found.scale * filling + found.shift, found.scale * 0 + filling
            ):
                self._refuse(node, "pads with a constant, which a shift would change")
        return Affine(*(self._along(node, array, (2, 3)) for array in found.both))

    def _concat(self, node: Node) -> Affine:
        axis = node.attributes.get("axis", 0) % len(self._shape(node, node.outputs[0]))
        parts: list[tuple[Numbers, Numbers]] = []
        for value in node.inputs:
            shape = self._shape(node, value)
            ones = np.ones((1,) * len(shape))
            scale, shift = self.pending[value].both if value in self.pending else (ones, 0 * ones)
            parts.append((np.broadcast_to(scale, shape), np.broadcast_to(shift, shape)))
        return Affine(*(np.concatenate(own, axis) for own in zip(*parts, strict=True)))

    def _sum(self, node: Node) -> Affine | None:
        """Sums and differences; a bias takes the shift."""
        signs = [1.0, *([-1.0] if node.operator == "Sub" else [1.0] * (len(node.inputs) - 1))]
        rank = len(self._shape(node, node.outputs[0]))
        tracked = [value for value in node.inputs if value in self.pending]
        scale, shift = self.pending[tracked[0]].both
        scale, shift = filled(scale, rank), signs[node.inputs.index(tracked[0])] * filled(shift, rank)
        rest = [place for place, value in enumerate(node.inputs) if value != tracked[0]]
        if len(node.inputs) - len(rest) > 1:
            self._refuse(node)
        for place in rest:
            value, sign = node.inputs[place], signs[place]
            if value in self.pending:
                other = self.pending[value]
                if not alike(scale, filled(other.scale, rank)):
                    self._refuse(node, "adds values of different scales")
                shift = shift + sign * filled(other.shift, rank)
                continue
            operand = self._numbers(value)
            if operand is None:
                if not alike(scale, np.ones(1)):
                    self._refuse(node, "adds a value that the factor does not change")
                continue
            if self._may_change(value):
                wanted = (operand + sign * shift) / scale
                if (whole := as_shape(wanted, operand.shape)) is not None:
                    self._change(node, value, whole)
                    shift = 0 * shift
                    continue
            shift = shift + sign * (operand - scale * operand)
        return Affine(scale, shift)

    def _product(self, node: Node) -> Affine | None:
        place = 0 if node.inputs[0] in self.pending else 1
        value, other = node.inputs[place], node.inputs[1 - place]
        if other in self.pending or (node.operator == "Div" and place == 1):
            self._refuse(node)
        rank = len(self._shape(node, node.outputs[0]))
        scale, shift = (filled(array, rank) for array in self.pending[value].both)
        operand = self._numbers(other)
        if operand is None:
            if shift.any():
                self._refuse(node)
            return Affine(scale, shift)
        divides = node.operator == "Div"
        shift = shift / operand if divides else shift * operand
        if self.constants and other in self.graph.constants and (scale > 0).all():
            whole = as_shape(operand / scale if divides else operand * scale, operand.shape)
            if whole is not None:
                self._change(node, other, whole)
                scale = np.ones_like(scale)
        return Affine(scale, shift)

    def _convolution(self, node: Node, found: Affine) -> Affine | None:
        kernel, bias = node.inputs[1], (*node.inputs[2:], "")[0]
        weights = self._weights(node, kernel)
        beyond = range(2, weights.ndim)
        channels = int(self._shape(node, node.inputs[0])[1])
        scale, shift = (
            np.broadcast_to(self._along(node, array, beyond).reshape(-1), channels) for array in found.both
        )
        transposed, groups = node.operator == "ConvTranspose", node.attributes.get("group", 1)
        if shift.any():
            pads = padding_of(node, self._shape(node, node.inputs[0])[2:], weights.shape[2:])
            if transposed or any(pads):
                self._pad_with(node, pads, -shift / scale)
        if transposed:
            self._change(node, kernel, weights * scale.reshape(-1, *(1,) * (weights.ndim - 1)))
            return None
        group_of = np.repeat(np.arange(groups), weights.shape[0] // groups)
        taken, added = (each.reshape(groups, -1, *(1,) * len(beyond))[group_of] for each in (scale, shift))
        extra = (weights * added).reshape(weights.shape[0], -1).sum(axis=1)
        self._change(node, kernel, weights * taken)
        return self._shifted(node, bias, extra, 1.0, axis=1)

    def _pad_with(self, node: Node, pads: Sequence[int], zeros: Numbers) -> None:
        """Let a convolution pad with what zero has become, one number for every channel."""
        if not self.nodes or node.operator != "Conv" or np.ptp(zeros) != 0:
            self._refuse(node, "pads with zeros, which a shift of the input would change at the border")

        def constant(wanted: str, array: ArrayLike) -> str:
            self.added[wanted] = np.asarray(array)
            return wanted

        opset = self.graph.opsets.get("", 1)
        self.replaced[node_key(node)] = padded_before(node, pads, float(zeros[0]), opset, constant)

    def _dense(self, node: Node, found: Affine) -> Affine | None:
        kernel, bias = node.inputs[1], (*node.inputs[2:], "")[0]
        weights = self._weights(node, kernel)
        if weights.ndim != 2 or node.attributes.get("transA"):
            self._refuse(node)
        turned = bool(node.attributes.get("transB"))
        rows = weights.T if turned else weights
        rank = len(self._shape(node, node.inputs[0]))
        scale, shift = (
            np.broadcast_to(self._along(node, array, range(1, rank - 1)).reshape(-1), len(rows))
            for array in found.both
        )
        extra = node.attributes.get("alpha", 1.0) * (shift @ rows)
        self._change(node, kernel, weights * (scale if turned else scale[:, np.newaxis]))
        return self._shifted(node, bias, extra, node.attributes.get("beta", 1.0), axis=rank - 1)

    def _shifted(self, node: Node, bias: str, extra: Numbers, beta: float, *, axis: int) -> Affine | None:
        """Give a bias what the shift adds to every output; without a bias it moves on."""
        if not extra.any():
            return None
        if bias and beta:
            before = self._weights(node, bias)
            if before.shape[-1:] == extra.shape and before.size == extra.size:
                self._change(node, bias, before + (extra / beta).reshape(before.shape))
                return None
        rank = len(self._shape(node, node.outputs[0]))
        shift = extra.reshape([-1 if place == axis else 1 for place in range(rank)])
        return Affine(np.ones_like(shift), shift)

    def _normalisation(self, node: Node, found: Affine) -> Affine | None:
        """Batch statistics become those of the new values; the scale takes a sign, and what else is left."""
        rank = len(self._shape(node, node.inputs[0]))
        channels = self._shape(node, node.inputs[0])[1]
        scale, shift = (
            np.broadcast_to(self._along(node, array, range(2, rank)).reshape(-1), channels)
            for array in found.both
        )
        epsilon = node.attributes.get("epsilon", 1e-5)
        mean, variance = (self._weights(node, name) for name in node.inputs[3:5])
        self._change(node, node.inputs[3], (mean - shift) / scale)
        variance, factor = (variance + epsilon) / scale**2, np.sign(scale)
        if (variance >= epsilon).all():
            self._change(node, node.inputs[4], variance - epsilon)
        else:
            factor = scale
        if (factor != 1).any():
            self._change(node, node.inputs[1], self._weights(node, node.inputs[1]) * factor)
        return None

    def _along(self, node: Node, array: Numbers, axes: Sequence[int]) -> Numbers:
        """The numbers with one entry along some axes, on which they must not depend."""
        first = tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(array.ndim))
        if not alike(array[first], array):
            self._refuse(node, "works on values whose scale depends on the position")
        return array[first]

    def _numbers(self, value: str) -> Numbers | None:
        """An operand that is known before the network runs."""
        if value in self.graph.constants:
            return np.asarray(self.graph.constants[value], np.float64)
        if value in self._bindings:
            return np.asarray(self._bindings[value].apply(self.tensors.read(value)), np.float64)
        return None

    def _may_change(self, value: str) -> bool:
        return (self.constants or value in self._bindings) and len(self._users[value]) == 1

    def _weights(self, node: Node, name: str) -> Numbers:
        if name in self.changed:
            self._refuse(node, f"{name} is used more than once")
        found = self._numbers(name) if name in self._bindings else None
        if found is None:
            self._refuse(node, "has weights that are not tensors of the model")
        return found

    def _change(self, node: Node, name: str, array: Numbers) -> None:
        if len(self._users[name]) > 1:
            self._refuse(node, f"{name} is used more than once")
        if name not in self._bindings and not self.constants:
            self._refuse(node, "has weights that are not tensors of the model")
        self.changed[name] = array

    def _shape(self, node: Node, value: str) -> tuple[int, ...]:
        """The shape of a value for one image, with the batch axis."""
        shape = self._shapes.get(value, ())
        if not shape or any(size is None for size in shape[1:]):
            self._refuse(node, f"the shape of {value} is not known")
        return 1, *(int(size or 0) for size in shape[1:])

    def _refuse(self, node: Node, why: str = "") -> NoReturn:
        what = why or f"{node.operator} is not followed"
        self.refuse_text(f"layer {node.layer or node.outputs[0]}: {what}")

    def refuse_text(self, why: str) -> NoReturn:
        """Refuse for a reason."""
        raise UnsupportedError(
            f"{self.name} cannot be rewritten for inputs of another scale or ink: {why}",
            hint="use it with its own format; `export --to onnx --with-preprocessing` prepares pictures",
        )

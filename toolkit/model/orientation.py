"""The same network for transposed images: its tensors with their spatial axes swapped."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError
from toolkit.graph import Graph, Node, consumers, node_key, producers
from toolkit.graph.axes import BROADCAST, RESHAPES, SAME_PLACE
from toolkit.model.model import Model
from toolkit.model.moved_tensors import Change, MovedTensors, Places, Swap, TakeAll, TakeAlong, equal_changes
from toolkit.tensors import TensorSpec
from toolkit.vocabulary import CHARACTER_SHAPES, sizes


def transposed(model: Model) -> Model:
    """The network that computes for each transposed image what the original computes for the image.

    The order of every value's elements is followed through the graph: kernels of convolutions are
    transposed, the rows of a dense layer on a flattened map and weights that depend on the position
    (PReLU, layer normalisation, batch normalisation of pixels) take the new order. Nothing is
    computed, so the result is exact, and transposing twice gives the same weights digest.

    Raises:
        UnsupportedError: If something depends on the orientation that no tensor holds: strides,
            windows or padding that differ between height and width, a dense layer or recurrent
            layer on rows.
    """
    walk = _Walk(model.name, model.build_graph(), model.tensors.specs)
    walk.follow_all()
    graph = walk.graph
    changed = {name: change for name, change in walk.uses.items() if change is not None}
    constants = {
        name: changed[name].apply(array) if name in changed else array
        for name, array in graph.constants.items()
    }
    bindings = {binding.tensor: binding.rearrangement for binding in graph.bindings}
    moved = next((name for name in changed if name not in bindings), None)
    if moved is not None and model.dialect == "keras":
        walk.refuse_text(f"its constant {moved} depends on the position")
    graph = dataclasses.replace(graph, constants=constants)
    stored = {name: (bindings[name], change) for name, change in changed.items() if name in bindings}
    return dataclasses.replace(
        model, tensors=MovedTensors(model.tensors, stored), describe_graph=lambda: graph
    )


_SOFTMAX_OF_ONE_AXIS = 13  # the version from which softmax has one axis, not all from it on
_WINDOWS = {"AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool"}
_GLOBAL_POOLS = {"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"}


@dataclass
class _Walk:
    """Follows the order of elements from the input to the output."""

    name: str
    graph: Graph
    specs: Mapping[str, TensorSpec]
    places: dict[str, Places] = field(default_factory=dict)
    """Of every value that depends on the image, (1, *shape): the place in the original of each element."""
    uses: dict[str, Change | None] = field(default_factory=dict)
    """How each bound tensor and constant changes; None for one that is used as it is."""

    def __post_init__(self) -> None:
        from toolkit.graph.onnx_form import inferred_shapes

        initializers = {
            binding.tensor: binding.rearrangement.shape(self.specs[binding.tensor].shape)
            for binding in self.graph.bindings
        }
        self._shapes = {**inferred_shapes(self.graph, initializers), **initializers}
        self._made_by = producers(self.graph.nodes)
        self._initializers = {*initializers, *self.graph.constants}
        self._noted: set[tuple[str, str]] = set()

    def follow_all(self) -> None:
        """Visit every node; the output must not depend on the orientation."""
        shape = self.graph.input_shape
        if shape not in CHARACTER_SHAPES:
            self.refuse_text(f"it takes inputs of {sizes(shape)}, not of 28×28")
        image = np.arange(784).reshape(28, 28).T
        self.places[self.graph.input] = image.reshape(1, *shape)
        for node in self.graph.nodes:
            tracked = [value for value in node.inputs if value in self.places]
            if not tracked or node.operator == "Shape":
                continue
            self.places[node.outputs[0]] = self._follow(node, tracked)
            for value in node.inputs:
                if value in self._initializers and (node_key(node), value) not in self._noted:
                    self._note(node, value, None)
        users = consumers(self.graph.nodes)
        for name, change in self.uses.items():
            for use in users[name] if change is not None else ():
                if (node_key(use.node), name) not in self._noted:
                    self._refuse(use.node)
        if not _same(self.places.get(self.graph.output, np.arange(1))):
            self.refuse_text("its output depends on the orientation")

    def _follow(self, node: Node, tracked: Sequence[str]) -> Places:
        if node.domain or (any(node.outputs[1:]) and node.operator not in ("Dropout", "MaxPool")):
            self._refuse(node)
        operator, places = node.operator, self.places[tracked[0]]
        if operator in BROADCAST:
            return self._broadcast(node, tracked)
        if operator == "Concat":
            return self._concat(node)
        if operator not in _LIKE_INPUT and all(_same(self.places[value]) for value in tracked):
            return np.arange(math.prod(self._shape(node, node.outputs[0]))).reshape(
                1, *self._shape(node, node.outputs[0])
            )
        if node.inputs[0] != tracked[0] or len(tracked) > 1:
            self._refuse(node)
        if operator in ("LogSoftmax", "Softmax"):
            return self._softmax(node, places)
        if operator in SAME_PLACE:
            return places
        if operator in _WINDOWS or operator in ("Resize", "Upsample"):
            return self._window(node, places)
        if operator in _GLOBAL_POOLS:
            return self._reduced(node, places, range(2, places.ndim), keep=True)
        if operator.startswith("Reduce"):
            return self._reduction(node, places)
        if operator in ("Gemm", "MatMul"):
            return self._dense(node, places)
        if operator.endswith("Normalization"):
            return self._normalisation(node, places)
        if operator in RESHAPES:
            after = self._shape(node, node.outputs[0])
            return self._moved(node, places, lambda array: array.reshape(1, *after))
        if operator == "Transpose":
            perm = node.attributes.get("perm", tuple(reversed(range(places.ndim))))
            return self._moved(node, places, lambda array: array.transpose(perm))
        if operator == "Slice":
            return self._moved(node, places, self._slice(node, places.ndim))
        if operator == "Gather":
            indices, axis = self._constant(node, 1), node.attributes.get("axis", 0)
            return self._moved(node, places, lambda array: np.take(array, indices, axis=axis))
        if operator == "Pad":
            return self._pad(node, places)
        return self._refuse(node)

    def _broadcast(self, node: Node, tracked: Sequence[str]) -> Places:
        """Operations on several values, element by element."""
        after = (1, *self._shape(node, node.outputs[0]))
        whole = [self.places[value] for value in tracked if self.places[value].shape == after]
        if not whole:
            if not all(_same(self.places[value]) for value in tracked):
                self._refuse(node)
            whole = [np.arange(math.prod(after)).reshape(after)]
        places = whole[0]
        for value in node.inputs:
            if value in self.places:
                own = self.places[value]
                spread = own.reshape(1, *(1,) * (len(after) - own.ndim), *own.shape[1:])
                found = self._order_of(node, places, spread.shape).reshape(spread.shape)
                if not np.array_equal(found, spread):
                    self._refuse(node, "joins values that depend on the orientation in different ways")
            elif value:
                self._move(node, value, places)
        return places

    def _order_of(self, node: Node, places: Places, shape: tuple[int, ...]) -> Places:
        """The order of the elements of an operand that is broadcast to a value; flat."""
        full = (*(1,) * (places.ndim - len(shape)), *shape)
        numbers = np.broadcast_to(np.arange(math.prod(shape)).reshape(full), places.shape)
        wanted = numbers.reshape(-1)[places]
        found = wanted[tuple(slice(0, 1) if size == 1 else slice(None) for size in full)]
        if not np.array_equal(np.broadcast_to(found, places.shape), wanted):
            self._refuse(node, "its weights depend on one of the two axes")
        return found.reshape(-1)

    def _move(self, node: Node, value: str, places: Places) -> None:
        """Change an operand that does not depend on the image to fit a value."""
        if value not in self._shapes:
            self._refuse(node)
        shape = tuple(int(size or 0) for size in self._shapes[value])
        order = self._order_of(node, places, shape).reshape(shape)
        self._take(node, value, order)

    def _take(self, node: Node, value: str, order: Places) -> None:
        if value in self._initializers:
            self._note(node, value, None if _same(order) else TakeAll(order))
            return
        maker = self._made_by[value]
        if maker.operator not in SAME_PLACE | BROADCAST:
            if not _same(order):
                self._refuse(maker)
            return
        for source in filter(None, maker.inputs):
            shape = self._shapes.get(source, ())
            if shape == order.shape:
                self._take(maker, source, order)
            elif not _same(order) and math.prod(size or 0 for size in shape) != 1:
                self._refuse(maker)

    def _concat(self, node: Node) -> Places:
        if any(value not in self.places for value in node.inputs):
            self._refuse(node)
        axis = node.attributes.get("axis", 0)
        parts, numbers, start = [], [], 0
        for value in node.inputs:
            places = self.places[value]
            parts.append(places + start)
            numbers.append(np.arange(start, start + places.size).reshape(places.shape))
            start += places.size
        return self._relabelled(node, np.concatenate(numbers, axis), np.concatenate(parts, axis))

    def _moved(self, node: Node, places: Places, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Places:
        """Of an operation that only moves elements, or leaves some out."""
        if math.prod(self._shape(node, node.inputs[0])) != places.size:
            self._refuse(node)
        try:
            return self._relabelled(node, move(_numbers(places)), move(places))
        except (ValueError, IndexError):
            self._refuse(node)

    def _relabelled(self, node: Node, original: Places, found: Places) -> Places:
        """Places in a result, from which elements of the inputs it consists of in both networks."""
        place = np.full(int(original.max(initial=-1)) + 1, -1)
        place[original.reshape(-1)] = np.arange(original.size)
        if len(np.unique(original)) != original.size or int(found.max(initial=-1)) >= place.size:
            self._refuse(node, "uses other pixels of a transposed image")
        labels: Places = place[found]
        if (labels < 0).any():
            self._refuse(node, "uses other pixels of a transposed image")
        return labels

    def _window(self, node: Node, places: Places) -> Places:
        """Convolutions, pooling and enlargement: of maps whose two axes are swapped."""
        if places.ndim != 4 or places.shape[2] != places.shape[3] or not _same(np.swapaxes(places, 2, 3)):
            self._refuse(node, "slides over values that are in another order")
        for key in ("kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape"):
            numbers = node.attributes.get(key, ())
            if any(first != other for first, other in zip(numbers[0::2], numbers[1::2], strict=True)):
                self._refuse(node, f"its {key} {tuple(numbers)} differ between height and width")
        for value in node.inputs[1:] if node.operator in ("Resize", "Upsample") else ():
            numbers = self.graph.constants.get(value, np.empty(0))
            if value and (numbers.size % 2 or not np.array_equal(numbers[2::4], numbers[3::4])):
                self._refuse(node, "its scales differ between height and width")
        if node.operator.startswith("Conv"):
            if node.inputs[1] not in self._initializers:
                self._refuse(node)
            kernel = self._shapes[node.inputs[1]]
            if kernel[2] != kernel[3]:
                self._refuse(node, f"its window {kernel[2]}×{kernel[3]} differs between height and width")
            self._note(node, node.inputs[1], None if kernel[2] == 1 else Swap())
        shape = self._shape(node, node.outputs[0])
        if shape[1] != shape[2]:
            self._refuse(node)
        return np.swapaxes(np.arange(math.prod(shape)).reshape(1, *shape), 2, 3)

    def _pad(self, node: Node, places: Places) -> Places:
        pads = self._constant(node, 1).reshape(2, -1)
        if len(node.inputs) > 3 or pads.shape[1] != places.ndim:
            self._refuse(node)
        if places.ndim != 4 or not _same(np.swapaxes(places, 2, 3)) or (pads[:, 2] != pads[:, 3]).any():
            self._refuse(node, "its padding differs between height and width")
        shape = self._shape(node, node.outputs[0])
        return np.swapaxes(np.arange(math.prod(shape)).reshape(1, *shape), 2, 3)

    def _softmax(self, node: Node, places: Places) -> Places:
        single = self.graph.opsets.get("", 1) >= _SOFTMAX_OF_ONE_AXIS
        first = node.attributes.get("axis", -1 if single else 1) % places.ndim
        self._reduced(node, places, [first] if single else range(first, places.ndim), keep=True)
        return places

    def _reduction(self, node: Node, places: Places) -> Places:
        axes = node.attributes.get("axes")
        if axes is None and len(node.inputs) > 1:
            axes = self._constant(node, 1).tolist()
        reduced = {int(axis) % places.ndim for axis in axes or range(places.ndim)}
        return self._reduced(node, places, reduced, keep=bool(node.attributes.get("keepdims", 1)))

    def _reduced(self, node: Node, places: Places, axes: Collection[int], *, keep: bool) -> Places:
        """Places after the axes are reduced; each reduced line must consist of the same elements."""
        if 0 in axes:
            self._refuse(node)
        kept = [axis for axis in range(places.ndim) if axis not in axes]
        where = np.unravel_index(places, places.shape)
        first = tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(places.ndim))
        if any(
            not np.array_equal(np.broadcast_to(where[axis][first], places.shape), where[axis])
            for axis in kept
        ):
            self._refuse(node, "works along one of the two axes")
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(places.shape))
        found = np.ravel_multi_index(
            [where[axis][first] if axis in kept else np.zeros(shape, np.intp) for axis in range(places.ndim)],
            shape,
        )
        return found if keep else found.reshape([places.shape[axis] for axis in kept])

    def _dense(self, node: Node, places: Places) -> Places:
        kernel = node.inputs[1]
        if (
            kernel not in self._initializers
            or len(self._shapes[kernel]) != 2
            or node.attributes.get("transA")
        ):
            self._refuse(node)
        where = np.unravel_index(places, places.shape)
        last = where[-1]
        rows = last.reshape(-1, last.shape[-1])[0]
        if not (last == rows).all() or any((axis != axis[..., :1]).any() for axis in where[:-1]):
            self._refuse(node, "is a dense layer along one of the two axes")
        axis = 1 if node.attributes.get("transB") else 0
        self._note(node, kernel, None if _same(rows) else TakeAlong(rows, axis))
        shape = self._shape(node, node.outputs[0])
        outer = (*(axis[..., :1] for axis in where[:-1]), np.arange(shape[-1]))
        return np.ravel_multi_index(np.broadcast_arrays(*outer), (1, *shape))

    def _normalisation(self, node: Node, places: Places) -> Places:
        rank, channels = places.ndim, (1, -1, *(1,) * (places.ndim - 2))
        if node.operator == "LayerNormalization":
            first = node.attributes.get("axis", -1) % rank
            self._reduced(node, places, range(first, rank), keep=True)
            for value in filter(None, node.inputs[1:]):
                self._move(node, value, places)
            return places
        if node.operator == "InstanceNormalization":
            self._reduced(node, places, range(2, rank), keep=True)
        elif node.operator != "BatchNormalization":
            self._refuse(node)
        for value in node.inputs[1:]:
            size = int(self._shapes[value][0] or 0)
            order = self._order_of(node, places, np.empty(size).reshape(channels).shape)
            self._take(node, value, order)
        return places

    def _slice(self, node: Node, rank: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
        if len(node.inputs) == 1:
            starts, ends = node.attributes["starts"], node.attributes["ends"]
            axes = node.attributes.get("axes", range(len(starts)))
            steps: Sequence[int] = [1] * len(starts)
        else:
            parts = [self._constant(node, place).tolist() for place in range(1, len(node.inputs))]
            starts, ends = parts[:2]
            axes = parts[2] if len(parts) > 2 else range(len(starts))
            steps = parts[3] if len(parts) > 3 else [1] * len(starts)
        if any(step < 1 for step in steps):
            self._refuse(node)
        cut = [slice(None)] * rank
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            cut[axis % rank] = slice(start, end, step)
        return lambda array: array[tuple(cut)]

    def _constant(self, node: Node, place: int) -> NDArray[Any]:
        value = node.inputs[place] if place < len(node.inputs) else ""
        if value not in self.graph.constants:
            self._refuse(node)
        return self.graph.constants[value]

    def _note(self, node: Node, name: str, change: Change | None) -> None:
        """Note how a node needs an initializer; all nodes that use it must need the same."""
        self._noted.add((node_key(node), name))
        known = self.uses.setdefault(name, change)
        if known is change or (known is not None and change is not None and equal_changes(known, change)):
            return
        self._refuse(node, f"uses {name} in another order than another layer")

    def _shape(self, node: Node, value: str) -> tuple[int, ...]:
        """The shape of a value for one image."""
        shape = self._shapes.get(value, ())
        if not shape or any(size is None for size in shape[1:]):
            self._refuse(node, f"the shape of {value} is not known")
        return tuple(int(size or 0) for size in shape[1:])

    def _refuse(self, node: Node, why: str = "") -> NoReturn:
        what = why or f"{node.operator} is not followed"
        self.refuse_text(f"layer {node.layer or node.outputs[0]}: {what}")

    def refuse_text(self, why: str) -> NoReturn:
        """Refuse for a reason."""
        raise UnsupportedError(
            f"{self.name} cannot be rewritten for transposed images: {why}",
            hint="use it with the input format that it was trained for",
        )


_LIKE_INPUT = SAME_PLACE - {"LogSoftmax", "Softmax"}


def _numbers(places: Places) -> Places:
    return np.arange(places.size).reshape(places.shape)


def _same(places: Places) -> bool:
    """Whether every element is at its original place."""
    return np.array_equal(places.reshape(-1), np.arange(places.size))

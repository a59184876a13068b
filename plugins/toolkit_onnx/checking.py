"""From bytes to an ONNX graph that is safe to run: what an untrusted file may hold, and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from onnx import AttributeProto, NodeProto, TensorProto

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError, naming
from toolkit.graph.onnx_form import complaint, first_line, is_large_float, value_shapes
from toolkit.store.byte_source import FileBytes
from toolkit.store.content import content_of
from toolkit.store.limits import SizeBudget
from toolkit.store.other_files import not_a_model, other_content
from toolkit_onnx.wire import OnnxFile, parse_onnx

MAX_NODES = 10_000
MAX_TENSORS = 20_000
MAX_RANK = 8
MAX_VALUE = 1 << 22
"""Elements of one value for one image: 224×224×64 and a quarter more."""
OLDEST_OPSET = 7
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")

_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_MAKES_ITS_OWN_SIZE = {
    *("CenterCropPad", "Col2Im", "ConstantOfShape", "Expand", "EyeLike", "MaxUnpool", "OneHot", "Pad"),
    *("RandomNormal", "RandomUniform", "Range", "Resize", "Tile", "Upsample"),
}
_COUNTS = {
    *("block_size", "blocksize", "dilations", "group", "hidden_size", "kernel_shape"),
    *("num_groups", "size", "strides"),
}
_LARGEST_COUNT = 1 << 16
_damaged = partial(UnreadableInputError, hint="the file is damaged; download it again")


def read_checked(path: Path) -> OnnxFile:
    """Read an untrusted ONNX file.

    Nothing beside the file is opened, nothing in it is run, and no size that it declares is allocated
    before it is compared with what the file holds.
    """
    where = str(path)
    with content_of(path) as found:
        if other_content(found) is not None:
            raise not_a_model(found, "an ONNX file").named(where)
    with naming(where):
        source = FileBytes(path)
        SizeBudget(source.size).add(source.size, "the file")
        file = parse_onnx(source)
    model = file.model
    if not model.graph.node:
        raise UnreadableInputError(f"{where}: holds no network", hint="download it again, or export it again")
    _check_structure(model, where)
    for node in model.graph.node:
        _check_node(node, where)
    for tensor in _tensors(model):
        _check_tensor(tensor, where, file)
    if objection := complaint(_without_large(model)):
        raise UnreadableInputError(
            f"{where}: the ONNX checker refuses it: {objection}", hint="export it again"
        )
    _check_sizes(model, where)
    return file


def _without_large(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large tensors as inputs, since their data is not there for the checker."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.initializer[:]
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if not is_large_float(tensor):
            bare.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            inputs.add(tensor.name)
            bare.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return bare


def _check_structure(model: onnx.ModelProto, where: str) -> None:
    graph = model.graph
    if len(graph.node) > MAX_NODES or len(graph.initializer) > MAX_TENSORS:
        raise LimitReachedError(
            f"{where}: {len(graph.node):,} nodes and {len(graph.initializer):,} tensors, "
            f"at most {MAX_NODES:,} and {MAX_TENSORS:,} are read"
        )
    _check_names(model, where)
    if model.functions:
        raise UnsupportedError(f"{where}: defines functions", hint="export it with plain operators")
    if graph.sparse_initializer:
        raise UnsupportedError(f"{where}: holds sparse tensors", hint="export it with dense ones")
    opset = max((entry.version for entry in model.opset_import if entry.domain in DOMAINS[:2]), default=0)
    if opset > onnx.defs.onnx_opset_version():
        raise UnsupportedError(
            f"{where}: written for opset {opset}",
            hint=f"opsets up to {onnx.defs.onnx_opset_version()} are read; export it for one of them",
        )
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{where}: written for opset {opset}",
            hint=f"opset {OLDEST_OPSET} and later are read; export it again",
        )


def _check_node(node: NodeProto, where: str) -> None:
    called = node.name or node.op_type
    if node.domain not in DOMAINS:
        raise UnsupportedError(
            f"{where}: needs operators of the domain {node.domain!r}",
            hint="only ONNX's own operators (domains '' and 'ai.onnx.ml') are run",
        )
    for attribute in node.attribute:
        # Native code divides by strides, groups and the like without a check.
        values = [attribute.i] if attribute.type == AttributeProto.INT else attribute.ints
        if attribute.name in _COUNTS and not all(0 < value <= _LARGEST_COUNT for value in values):
            raise _damaged(f"{where}: node {called!r} has {attribute.name} {list(values)}")
    if node.op_type in _CONTROL_FLOW or any(
        attribute.HasField("g") or attribute.graphs or attribute.ref_attr_name for attribute in node.attribute
    ):
        raise UnsupportedError(
            f"{where}: node {called!r} is control flow ({node.op_type})",
            hint="export the network without branches or loops",
        )


def _check_names(message: Message, where: str) -> None:
    """Refuse names that are no UTF-8: protobuf hands them out as bytes."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            for name in [value] if isinstance(value, str | bytes) else value:
                if isinstance(name, bytes):
                    raise _damaged(f"{where}: the {field.name} {name[:40]!r} is not text")
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                _check_names(part, where)


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensor(tensor: TensorProto, where: str, file: OnnxFile) -> None:
    shape = list(tensor.dims)
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise UnsupportedError(
            f"{where}: tensor {tensor.name!r} is stored in another file",
            hint="save the network with its tensors in one file",
        )
    if len(shape) > MAX_RANK or any(axis < 0 for axis in shape):
        raise UnreadableInputError(f"{where}: tensor {tensor.name!r} has the shape {shape}")
    if len(shape) > 1 and 0 in shape:
        raise UnreadableInputError(f"{where}: tensor {tensor.name!r} is empty: {shape}")
    if tensor.data_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return  # the checker says what is wrong with the first; texts have no fixed size
    declared = math.prod(shape)
    size = file.stored[tensor.name][1] if file.is_stored(tensor) else len(tensor.raw_data)
    if declared != _held(tensor, declared, size):
        raise _damaged(f"{where}: tensor {tensor.name!r} does not hold the {declared:,} elements it declares")


def _held(tensor: TensorProto, declared: int, size: int) -> int:
    """Number of elements that the file really holds; ``size`` is that of the raw data, in bytes."""
    if size or tensor.HasField("raw_data"):
        try:
            itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        except KeyError:
            return -1
        held, rest = divmod(size, itemsize)
        if rest:
            return -1
    else:
        floats = max(len(tensor.float_data), len(tensor.double_data))
        if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
            return floats // 2
        held = max(floats, len(tensor.int32_data), len(tensor.int64_data), len(tensor.uint64_data))
    # 4-bit integers are packed, two to a byte.
    packed = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4) and held == (declared + 1) // 2
    return declared if packed else held


def _check_sizes(model: onnx.ModelProto, where: str) -> None:
    """Refuse values that would not fit, as far as their shapes follow from the graph, for one image."""
    known = {
        name: [axis if isinstance(axis, int) else None for axis in axes]
        for name, axes in shapes(model, where, batch=1).items()
    }
    for name, shape in known.items():
        size = math.prod(1 if axis is None else axis for axis in shape)
        if len(shape) > 1 and size <= 0:
            raise UnreadableInputError(f"{where}: value {name!r} would be empty: {shape}")
        if size > MAX_VALUE:
            raise LimitReachedError(
                f"{where}: value {name!r} has {size:,} elements an image, at most {MAX_VALUE:,} are run"
            )
    for node in model.graph.node:
        shape_of = known.get(node.output[0]) if node.output else None
        if node.op_type in _MAKES_ITS_OWN_SIZE and (shape_of is None or None in shape_of):
            raise UnsupportedError(
                f"{where}: how large {node.op_type} {node.name!r} becomes does not follow from the graph",
                hint="simplify the network when exporting it",
            )


def shapes(
    model: onnx.ModelProto, where: str, batch: int | None = None
) -> dict[str, tuple[int | str | None, ...]]:
    """The shape of every value, for a batch of any size or of a given one."""
    try:
        return value_shapes(model, batch)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise UnreadableInputError(
            f"{where}: its shapes contradict each other: {first_line(error)}"
        ) from error

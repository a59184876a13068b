"""From bytes to an ONNX graph that is safe to run: what an untrusted file may hold, and how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from onnx import AttributeProto, NodeProto, TensorProto

from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError, UnsupportedError
from toolkit_onnx.without_weights import without_weights

MAX_BYTES = 1 << 29
MAX_NODES = 10_000
MAX_TENSORS = 20_000
MAX_RANK = 8
MAX_VALUE = 1 << 22
"""Elements of one value for one image: 224×224×64 and a quarter more."""
OLDEST_OPSET = 7
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_MAKES_ITS_OWN_SIZE = frozenset(
    {
        *("CenterCropPad", "Col2Im", "ConstantOfShape", "Expand", "EyeLike", "MaxUnpool"),
        *("OneHot", "Pad", "RandomNormal", "RandomUniform", "Range", "Resize", "Tile"),
        *("Upsample",),
    }
)
_COUNTS = frozenset(
    {
        *("block_size", "blocksize", "dilations", "group", "hidden_size", "kernel_shape"),
        *("num_groups", "size", "strides"),
    }
)
_LARGEST_COUNT = 1 << 16
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes"),
    (b"PK\x03\x04", "a zip archive, such as a .keras file"),
    (b"\x80\x02", "a Python pickle, such as PyTorch writes"),
    (b"<", "a web page"),
    (b"{", "a JSON document"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
)


def read_checked(path: Path) -> onnx.ModelProto:
    """Read an untrusted ONNX file.

    Nothing beside the file is opened, nothing in it is run, and no size that it declares is allocated
    before it is compared with what the file holds.

    Raises:
        MissingInputError: If it cannot be opened.
        UnreadableInputError: If it is no valid ONNX model.
        UnsupportedError: If it needs external data, control flow, functions, or other domains.
        LimitReachedError: If it is larger than the limits above.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LimitReachedError(f"{path}: {size:,} bytes, at most {MAX_BYTES:,} are read")
        content = path.read_bytes()
    except OSError as error:
        raise MissingInputError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    return checked(content, str(path))


def checked(content: bytes, where: str) -> onnx.ModelProto:
    """The same for bytes; ``where`` names them in messages."""
    for signature, what in _SIGNATURES:
        if content.startswith(signature):
            raise UnreadableInputError(f"{where}: {what}, not ONNX", hint="give the file its right suffix")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise UnreadableInputError(
            f"{where}: not an ONNX file, or a damaged one", hint="download it again"
        ) from error
    if not model.graph.node:
        raise UnreadableInputError(f"{where}: holds no network", hint="download it again, or export it again")
    _check_structure(model, where)
    _check_tensors(_tensors(model), where)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise UnreadableInputError(
            f"{where}: the ONNX checker refuses it: {_first_line(error)}", hint="export it again"
        ) from error
    _check_sizes(model, where)
    return model


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
    for domain in sorted({node.domain for node in graph.node}):
        if domain not in DOMAINS:
            raise UnsupportedError(
                f"{where}: needs operators of the domain {domain!r}",
                hint="only ONNX's own operators (domains '' and 'ai.onnx.ml') are run",
            )
    opset = max((entry.version for entry in model.opset_import if entry.domain in DOMAINS[:2]), default=0)
    if opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{where}: written for opset {opset}",
            hint=f"opset {OLDEST_OPSET} and later are read; export it again",
        )
    for node in graph.node:
        _check_counts(node, where)
        if node.op_type in _CONTROL_FLOW or any(_holds_graph(attribute) for attribute in node.attribute):
            raise UnsupportedError(
                f"{where}: node {node.name or node.op_type!r} is control flow ({node.op_type})",
                hint="export the network without branches or loops",
            )


def _check_counts(node: NodeProto, where: str) -> None:
    """Refuse strides, groups and the like of 0 and below: native code divides by them without a check."""
    for attribute in node.attribute:
        values = [attribute.i] if attribute.type == AttributeProto.INT else attribute.ints
        if attribute.name in _COUNTS and not all(0 < value <= _LARGEST_COUNT for value in values):
            raise UnreadableInputError(
                f"{where}: node {node.name or node.op_type!r} has {attribute.name} {list(values)}",
                hint="the file is damaged; download it again",
            )


def _check_names(message: Message, where: str) -> None:
    """Refuse names that are no UTF-8: protobuf hands them out as bytes."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            for name in [value] if isinstance(value, str | bytes) else value:
                if isinstance(name, bytes):
                    raise UnreadableInputError(
                        f"{where}: the {field.name} {name[:40]!r} is not text: the file is damaged",
                        hint="download it again",
                    )
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in [value] if isinstance(value, Message) else value:
                _check_names(part, where)


def _holds_graph(attribute: AttributeProto) -> bool:
    return attribute.HasField("g") or bool(attribute.graphs) or bool(attribute.ref_attr_name)


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_tensors(tensors: Iterable[TensorProto], where: str) -> None:
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UnsupportedError(
                f"{where}: tensor {tensor.name!r} is stored in another file",
                hint="save the network with its tensors in one file",
            )
        if len(tensor.dims) > MAX_RANK or any(axis < 0 for axis in tensor.dims):
            raise UnreadableInputError(f"{where}: tensor {tensor.name!r} has the shape {list(tensor.dims)}")
        if len(tensor.dims) > 1 and 0 in tensor.dims:
            raise UnreadableInputError(f"{where}: tensor {tensor.name!r} is empty: {list(tensor.dims)}")
        if tensor.data_type in (TensorProto.UNDEFINED, TensorProto.STRING):
            continue  # the checker says what is wrong with the first; texts have no fixed size
        declared = int(np.prod([int(axis) for axis in tensor.dims], dtype=object))
        if declared != _held(tensor, declared):
            raise UnreadableInputError(
                f"{where}: tensor {tensor.name!r} does not hold the {declared:,} elements it declares",
                hint="download it again",
            )


def _held(tensor: TensorProto, declared: int) -> int:
    """Number of elements that the file really holds."""
    if not tensor.HasField("raw_data"):
        if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
            return max(len(tensor.float_data), len(tensor.double_data)) // 2
        held = max(
            len(tensor.float_data),
            len(tensor.double_data),
            len(tensor.int32_data),
            len(tensor.int64_data),
            len(tensor.uint64_data),
        )
        return declared if _is_packed(tensor, held, declared) else held
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError:
        return -1
    held, rest = divmod(len(tensor.raw_data), itemsize)
    if rest:
        return -1
    return declared if _is_packed(tensor, held, declared) else held


def _is_packed(tensor: TensorProto, held: int, declared: int) -> bool:
    """Whether these are 4-bit integers, two to a byte."""
    return tensor.data_type in (TensorProto.INT4, TensorProto.UINT4) and held == (declared + 1) // 2


def _check_sizes(model: onnx.ModelProto, where: str) -> None:
    """Refuse values that would not fit, as far as their shapes follow from the graph, for one image."""
    single = without_weights(model)
    initializers = {tensor.name for tensor in model.graph.initializer}
    for value in single.graph.input:
        if value.name not in initializers and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.value_info[:]
    for value in single.graph.output:
        for axis in value.type.tensor_type.shape.dim:
            axis.Clear()
    try:
        single = onnx.shape_inference.infer_shapes(single, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise UnreadableInputError(
            f"{where}: its shapes contradict each other: {_first_line(error)}"
        ) from error
    known: dict[str, list[int | None]] = {}
    for value in (*single.graph.value_info, *single.graph.input, *single.graph.output):
        if value.name not in initializers and value.type.tensor_type.HasField("shape"):
            axes = value.type.tensor_type.shape.dim
            known[value.name] = [axis.dim_value if axis.HasField("dim_value") else None for axis in axes]
    for name, shape in known.items():
        size = int(np.prod([1 if axis is None else axis for axis in shape], dtype=object))
        if len(shape) > 1 and size <= 0:
            raise UnreadableInputError(f"{where}: value {name!r} would be empty: {shape}")
        if size > MAX_VALUE:
            raise LimitReachedError(
                f"{where}: value {name!r} has {size:,} elements an image, at most {MAX_VALUE:,} are run"
            )
    for node in single.graph.node:
        shape_of = known.get(node.output[0]) if node.output else None
        if node.op_type in _MAKES_ITS_OWN_SIZE and (shape_of is None or None in shape_of):
            raise UnsupportedError(
                f"{where}: how large {node.op_type} {node.name!r} becomes does not follow from the graph",
                hint="simplify the network when exporting it",
            )


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 200 else line[:200] + "…"

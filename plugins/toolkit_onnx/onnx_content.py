"""Which files are ONNX, from their content."""

from __future__ import annotations

from toolkit.store.content import FileContent

_NUMBER, _BYTES = 0, 2
_WIRE_TYPES = {
    **dict.fromkeys((1, 5), _NUMBER),  # version of the format, version of the model
    **dict.fromkeys((2, 3, 4, 6), _BYTES),  # producer, its version, domain, documentation
    **dict.fromkeys((7, 8, 14, 20, 25, 26), _BYTES),  # graph, operator sets, metadata and the rest
}
_GRAPH = (7, _BYTES)


def is_onnx(content: FileContent) -> bool:
    """Whether its fields are those of ONNX' ModelProto, a graph among them."""
    fields = content.protobuf
    return _GRAPH in fields and all(_WIRE_TYPES.get(number) == wire for number, wire in fields)

"""Which files are Keras', from their content."""

from __future__ import annotations

from toolkit.store.content import FileContent

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = tuple(512 << power for power in range(11))


def is_hdf5(content: FileContent) -> bool:
    """Whether it is an HDF5 file, perhaps after a user block of 512, 1024, 2048, … bytes."""
    return any(content.at(start, len(SIGNATURE)) == SIGNATURE for start in (0, *_USER_BLOCKS))


def is_archive(content: FileContent) -> bool:
    """Whether it is a zip archive with a part of Keras' in it."""
    return not {"config.json", "metadata.json", "model.weights.h5"}.isdisjoint(content.members)

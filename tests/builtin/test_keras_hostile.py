"""Links, bombs and contradictions: refused before they cost anything."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import (
    CONV,
    GROUPS,
    INPUT,
    SMALL,
    layer,
    sequential,
    small_arrays,
    weights_file,
    write_archive,
    write_legacy,
)

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras


def _replace(path: Path, make: Callable[[Any], None]) -> Path:
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["kernel:0"]
        make(group)
    return path


def test_links_to_other_places_are_never_followed(small: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros((8, 3), np.float32)

    def external(group: Any) -> None:
        group["kernel:0"] = h5py.ExternalLink(str(secret), "/kernel")

    with pytest.raises(UnsupportedError, match="ExternalLink"):
        read_h5(_replace(small, external))


def test_soft_links_are_never_followed(small: Path) -> None:
    def soft(group: Any) -> None:
        group.file["elsewhere"] = np.zeros((8, 3), np.float32)
        group["kernel:0"] = h5py.SoftLink("/elsewhere")

    with pytest.raises(UnsupportedError, match="SoftLink"):
        read_h5(_replace(small, soft))


def test_a_whole_group_reached_by_a_link_is_refused(small: Path) -> None:
    with h5py.File(small, "a") as file:
        file.move("model_weights/dense", "other")
        file["model_weights/dense"] = h5py.SoftLink("/other")
    with pytest.raises(UnsupportedError, match="SoftLink"):
        read_h5(small)


def test_values_in_other_files_are_never_read(small: Path, tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(96))

    def external(group: Any) -> None:
        group.create_dataset("kernel:0", (8, 3), "f4", external=[(str(tmp_path / "raw.bin"), 0, 96)])

    with pytest.raises(UnsupportedError, match="another file"):
        read_h5(_replace(small, external))


def test_virtual_tensors_are_never_read(small: Path, tmp_path: Path) -> None:
    def virtual(group: Any) -> None:
        layout = h5py.VirtualLayout((8, 3), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "x.h5"), "x", (8, 3), "f4")
        group.create_virtual_dataset("kernel:0", layout)

    with pytest.raises(UnsupportedError, match="another file"):
        read_h5(_replace(small, virtual))


def test_a_small_file_that_declares_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    units = 1 << 20
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 1 << 10]), layer("Dense", "dense", units=units)
    )
    path = write_legacy(tmp_path / "a.h5", config, {})
    with h5py.File(path, "a") as file:
        group = file["model_weights"].create_group("dense")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group.create_dataset("kernel", (1 << 10, units), "f4", chunks=(1, 1 << 16), compression="gzip")
        group.create_dataset("bias", (units,), "f4", chunks=(1 << 16,), compression="gzip")
    assert path.stat().st_size < 50_000
    started = time.process_time()
    with pytest.raises(LimitReachedError, match=r"kernel declares 4\.00 GiB, the limit is 2 GB"):
        read_h5(path)
    assert time.process_time() - started < 2


def test_what_is_no_number_is_refused(small: Path) -> None:
    def texts(group: Any) -> None:
        group.create_dataset("kernel:0", data=np.full((8, 3), b"x", dtype=object), dtype=h5py.string_dtype())

    with pytest.raises(UnreadableInputError, match="not numbers"):
        read_h5(_replace(small, texts))


def test_an_archive_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(UnreadableInputError, match="twice"):
        read_keras(path)


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        with archive.open("config.json", "w") as member:
            for _ in range(40):
                member.write(b" " * (1 << 20))
    with pytest.raises(LimitReachedError, match=r"config\.json declares"):
        read_keras(path)


def test_a_flipped_bit_in_an_archive_is_found(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS))
    content = bytearray(path.read_bytes())
    place = content.find(small_arrays()["dense"]["kernel"].tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="CRC"):
        read_keras(path)


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "no layers": {"class_name": "Sequential", "config": {"name": "net", "layers": []}},
    "no config": {"class_name": "Sequential"},
    "two of one name": sequential(INPUT, CONV, CONV),
    "a bad number": sequential(INPUT, layer("Dense", "dense", units="three")),
    "a huge number": sequential(INPUT, layer("Dense", "dense", units=10**30)),
    "a window that does not fit": sequential(INPUT, layer("Conv2D", "conv", filters=2, kernel_size=[9, 9])),
    "a shape that does not fit": sequential(INPUT, layer("Reshape", "shape", target_shape=[5, 5])),
    "an endless loop": {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [
                {**INPUT, "name": "start", "inbound_nodes": []},
                {**layer("ReLU", "one"), "name": "one", "inbound_nodes": [[["two", 0, 0, {}]]]},
                {**layer("ReLU", "two"), "name": "two", "inbound_nodes": [[["one", 0, 0, {}]]]},
            ],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["two", 0, 0]],
        },
    },
    "an end that leads nowhere": {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [{**INPUT, "name": "start", "inbound_nodes": []}],
            "input_layers": [["start", 0, 0]],
            "output_layers": [["nobody", 0, 0]],
        },
    },
    "a name that climbs": sequential(INPUT, layer("ReLU", "../x")),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_configuration_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        read_h5(write_legacy(tmp_path / "a.h5", CONTRADICTIONS[name], {}))
    assert "\n" not in str(caught.value)


def test_a_configuration_of_endless_depth_is_refused(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", SMALL, {})
    for depth in (500, 200_000):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = (
                '{"class_name": "Sequential", "config": ' + "[" * depth + "]" * depth + "}"
            )
        with pytest.raises((LimitReachedError, UnreadableInputError)):
            read_h5(path)


def test_models_that_call_one_another_without_end_are_refused(tmp_path: Path) -> None:
    """Nested twenty deep, each calling the next twice: a million calls from a small file."""

    def nest(depth: int) -> dict[str, Any]:
        inner = layer("ReLU", "end") if depth == 0 else nest(depth - 1)
        name = inner["config"]["name"]
        return {
            "class_name": "Functional",
            "config": {
                "name": f"model{depth}",
                "layers": [
                    {
                        **layer("InputLayer", "start", batch_shape=[None, 3]),
                        "name": "start",
                        "inbound_nodes": [],
                    },
                    {**inner, "name": name, "inbound_nodes": [[["start", 0, 0, {}]], [["start", 0, 0, {}]]]},
                ],
                "input_layers": [["start", 0, 0]],
                "output_layers": [[name, 1, 0]],
            },
        }

    with pytest.raises(LimitReachedError, match="more than"):
        read_h5(write_legacy(tmp_path / "a.h5", nest(18), {}))


def _converted(kind: h5py.h5t.TypeID, change: Callable[[Any], None]) -> Any:
    changed = kind.copy()
    change(changed)
    return changed


@pytest.mark.parametrize(
    "kind",
    [
        _converted(h5py.h5t.IEEE_F32LE, lambda kind: (kind.set_fields(15, 7, 8, 0, 7), kind.set_size(2))),
        _converted(h5py.h5t.STD_I32LE, lambda kind: (kind.set_precision(12), kind.set_offset(5))),
        _converted(h5py.h5t.IEEE_F32LE, lambda kind: kind.set_ebias(100)),
    ],
    ids=["bfloat16", "integer of 12 bits", "other exponents"],
)
def test_numbers_that_numpy_lays_out_in_another_way_are_refused(small: Path, kind: Any) -> None:
    """Their bytes, read from the file as NumPy's, would be other numbers."""

    def put(group: Any) -> None:
        made = h5py.h5d.create(group.id, b"kernel:0", kind, h5py.h5s.create_simple((8, 3)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((8, 3), np.float32))

    with pytest.raises(UnsupportedError, match="kernel:0 is stored in a number format of its own"):
        read_h5(_replace(small, put))


def test_lengths_of_four_bytes_which_hide_an_endless_heap_are_refused(small: Path, tmp_path: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    made.set_sizes(8, 4)
    path = tmp_path / "short.h5"
    with (
        h5py.File(small) as source,
        h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, fcpl=made)) as copy,
    ):
        source.copy("model_weights", copy)
        copy.attrs["model_config"] = source.attrs["model_config"]
    with pytest.raises(UnsupportedError, match="8 and 4 bytes"):
        read_h5(path)


def test_heaps_inside_one_another_are_refused_at_once(tmp_path: Path) -> None:
    count = 100_000
    path = tmp_path / "nested.h5"
    headers = (b"GCOL\1\0\0\0" + (32 * (count - index)).to_bytes(8, "little") for index in range(count))
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(8) + b"".join(headers) + bytes(16 * count + 4096))
    started = time.monotonic()
    with pytest.raises(UnreadableInputError, match="heap of texts"):
        read_h5(path)
    assert time.monotonic() - started < 10


def test_one_long_text_named_thousands_of_times_is_refused_before_it_is_copied(small: Path) -> None:
    with h5py.File(small, "a") as file:
        attributes = file["model_weights/dense"].attrs
        del attributes["weight_names"]
        attributes.create("weight_names", ["ab"] * 300, dtype=h5py.string_dtype())
        attributes.create("long", ["x" * (1 << 20)], dtype=h5py.string_dtype())
    with pytest.raises(LimitReachedError, match="weight_names may hold 300 texts"):
        read_h5(small)


def test_an_archive_compressed_by_another_method_is_refused_by_name(tmp_path: Path) -> None:
    weights = weights_file(small_arrays(), GROUPS)
    path = write_archive(tmp_path / "a.keras", SMALL, weights, compression=zipfile.ZIP_LZMA)
    with pytest.raises(UnsupportedError, match="compressed by method 14"):
        read_keras(path)

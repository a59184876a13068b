"""Discovery of distributions, with incomplete metadata too."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_records import by_name

from toolkit.host.manager import load_plugins


def install(folder: Path, entry_point: str, *, name: str, metadata: str | None = "ordinary") -> None:
    """Write a distribution's metadata; None for a distribution without the file."""
    information = folder / f"{name.replace('-', '_')}-1.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_text(f"[toolkit]\n{entry_point}\n")
    if metadata == "ordinary":
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
    if metadata is not None:
        (information / "METADATA").write_text(metadata)


def test_a_distribution_with_unreadable_metadata_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "damaged-1.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_bytes(b"[toolkit]\n\xff\xfe = = =\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(by_name(load_plugins({}))) >= {"keras", "soups"}


@pytest.mark.parametrize("name", ["GeneratorExit", "asyncio.CancelledError"])
def test_an_error_that_is_not_an_exception_stays_inside_an_import(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"toolkit_raises_{name.rpartition('.')[2].lower()}"
    (tmp_path / f"{module}.py").write_text(f"import asyncio\nraise {name}\n")
    install(tmp_path, f"base = {module}", name="raises-base")
    monkeypatch.syspath_prepend(tmp_path)
    record = by_name(load_plugins({}))["base"]
    assert (record.state, record.cause) == ("broken", f"import failed: {name.rpartition('.')[2]}")


@pytest.mark.parametrize("metadata", ["", "Metadata-Version: 2.1\nVersion: 3\n", None])
def test_distributions_without_a_name_do_not_hide_one_another(
    metadata: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nameless_one", "nameless_two"):
        (tmp_path / f"{name}.py").touch()
        install(tmp_path, f"{name} = {name}", name=name, metadata=metadata)
    monkeypatch.syspath_prepend(tmp_path)
    records = by_name(load_plugins({}))
    assert records["nameless_one"].distribution == records["nameless_two"].distribution == "unknown"


def test_a_distribution_without_a_version_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "versionless.py").touch()
    install(
        tmp_path, "versionless = versionless", name="bare", metadata="Metadata-Version: 2.1\nName: bare\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert str(by_name(load_plugins({}))["versionless"]) == "versionless (bare unknown)"

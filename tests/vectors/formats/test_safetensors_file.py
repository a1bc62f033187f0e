from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tests.vectors.making import vector
from vectors.formats import reader_of, safetensors_file
from vectors.vector import VectorError


def test_round_trip_is_exact(tmp_path: Path) -> None:
    vectors = [vector(i, f"v{i}", block=i) for i in range(3)]
    safetensors_file.write(tmp_path / "v.safetensors", vectors, np.ones((3, 2), dtype=np.float32))
    read = safetensors_file.read(tmp_path / "v.safetensors")
    for before, after in zip(vectors, read, strict=True):
        np.testing.assert_array_equal(before.direction, after.direction)
        assert (before.name, before.block, before.origin) == (after.name, after.block, after.origin)


def _header(path: Path, header: object, data: bytes = b"") -> Path:
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def test_hostile_files_get_one_clear_error(tmp_path: Path) -> None:
    meta = {"melbo-tui": json.dumps({"version": 1, "vectors": []})}
    own = {"version": 1, "vectors": [{"id": "a", "name": "n", "block": -1, "origin": vector().origin.to_json()}]}
    files = {
        "empty": b"",
        "short": b"\x01\x02",
        "terabytes": struct.pack("<Q", 1 << 40) + b"{}",
        "noise": bytes(range(256)) * 4,
        "newer": save({"vectors": np.ones((1, 4), np.float32)}, {"melbo-tui": json.dumps({"version": 99, "vectors": []})}),
        "no header": save({"vectors": np.ones((1, 4), np.float32)}),
        "not json": save({"vectors": np.ones((1, 4), np.float32)}, {"melbo-tui": "{"}),
        "deep": save({"vectors": np.ones((1, 4), np.float32)}, {"melbo-tui": "[" * 100_000}),
        "wrong count": save({"vectors": np.ones((2, 4), np.float32)}, meta),
        "integers": save({"vectors": np.ones((0, 4), np.int32)}, meta),
        "three dimensions": save({"vectors": np.ones((1, 1, 4), np.float32)}, meta),
        "nan": save({"vectors": np.full((1, 4), np.nan, np.float32)}, {"melbo-tui": json.dumps({**own})}),
        "negative block": save({"vectors": np.ones((1, 4), np.float32)}, {"melbo-tui": json.dumps(own)}),
    }
    for name, data in files.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        with pytest.raises(VectorError) as caught:
            safetensors_file.read(path)
        assert "\n" not in str(caught.value)
    overlapping = {"vectors": {"dtype": "F32", "shape": [1, 4], "data_offsets": [0, 99]}}
    with pytest.raises(VectorError):
        safetensors_file.read(_header(tmp_path / "overlap.safetensors", overlapping))
    with pytest.raises(VectorError, match="no such file"):
        safetensors_file.read(tmp_path / "missing.safetensors")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_politely(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(data)
        with pytest.raises(VectorError):
            safetensors_file.read(path)


def test_names_in_headers_are_cleaned(tmp_path: Path) -> None:
    hostile = vector(0, "[red]\x1b]0;title\x07 " + "x" * 1_000_000)
    safetensors_file.write(tmp_path / "v.safetensors", [hostile])
    name = safetensors_file.read_header(tmp_path / "v.safetensors")[0].name
    assert len(name) <= 120
    assert "\x1b" not in name


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.safetensors"
    safetensors_file.write(path, [vector(0, "old")])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(VectorError, match="No space left"):
        safetensors_file.write(path, [vector(1, "new")])
    monkeypatch.undo()
    assert safetensors_file.read(path)[0].name == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]


def test_widths_do_not_mix_and_formats_are_known() -> None:
    with pytest.raises(VectorError, match="widths"):
        safetensors_file.encode([vector(0), vector(1, d_model=6)])
    with pytest.raises(VectorError, match=r"known: \.safetensors"):
        reader_of(Path("x.pkl"))

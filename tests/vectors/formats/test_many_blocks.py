"""Vectors over many blocks in files, ours and others', and files that say impossible things of their blocks."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from safetensors import safe_open
from safetensors.numpy import load_file, save

from tests.vectors.making import STAMP, over, vector
from vectors import exchange
from vectors.files.strict_json import dumps
from vectors.formats import gguf_file, npy_file, safetensors_file, svec_file
from vectors.formats.raw import MissingBlock, Reading
from vectors.store.library import Library
from vectors.vector import SteeringVector, VectorError

ORIGIN = vector().origin.to_json()


def _same(one: SteeringVector, other: SteeringVector) -> None:
    assert (one.blocks, one.name) == (other.blocks, other.name)
    np.testing.assert_array_equal(one.directions, other.directions)


def _header(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        told: dict[str, Any] = json.loads(file.metadata()["melbo-tui"])
        return told


def test_a_file_of_ours_has_a_row_for_each_block(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    made = [vector(1, "a"), over(1, 2, 3, seed=2), over(0, 7, seed=3, name="b")]
    losses = np.arange(6, dtype=np.float32).reshape(3, 2)
    safetensors_file.write(path, made, losses)
    for before, one in zip(made, safetensors_file.read(path), strict=True):
        _same(one, before)
    tensors = load_file(path)
    assert tensors["vectors"].shape == (6, 8)
    np.testing.assert_array_equal(tensors["losses"][[0, 1, 4]], losses)
    assert np.isnan(tensors["losses"][[2, 3, 5]]).all()
    assert [safetensors_file.read_loss(path, row) for row in (0, 1, 4)] == losses.tolist()
    assert [entry.blocks for entry in safetensors_file.read_header(path)] == [(1,), (1, 2, 3), (0, 7)]
    with pytest.raises(VectorError, match="leave --block out"):
        safetensors_file.read(path, Reading(5))


def test_earlier_programs_read_files_of_single_vectors_and_refuse_others(tmp_path: Path) -> None:
    one, many = tmp_path / "one.safetensors", tmp_path / "many.safetensors"
    safetensors_file.write(one, [vector(1, "a")], np.ones((1, 2), np.float32))
    safetensors_file.write(many, [over(1, 2)])
    row = vector(1, "a")
    told = {"id": "", "name": "a", "block": 1, "norm": row.norm, "origin": row.origin.to_json()}
    earlier = {"melbo-tui": dumps({"version": 1, "vectors": [told]})}
    tensors = {"vectors": row.direction[None], "losses": np.ones((1, 2), np.float32)}
    assert one.read_bytes() == save(tensors, earlier), "byte by byte what melbo-tui 0.1 writes"
    assert _header(many)["version"] == 2, "which version 0.1 says is a newer one's"


def _ours(rows: int = 3, **entry: Any) -> bytes:
    row = {"id": "a/0", "name": "a", "block": 1, "origin": ORIGIN, **entry}
    return save({"vectors": np.ones((rows, 8), np.float32)}, {"melbo-tui": json.dumps({"version": 2, "vectors": [row]})})


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (_ours(blocks=[1, 3, 2]), "must rise"),
        (_ours(blocks=[1, 1, 2]), "must rise"),
        (_ours(blocks=[2, 3, 4]), "begin with 2, and its block is 1"),
        (_ours(blocks=[1, 2, 10_000]), "blocks"),
        (_ours(blocks=[1, 2, -3]), "blocks"),
        (_ours(blocks=[1, 2, 1e99]), "blocks"),
        (_ours(blocks=[1, 2, "3"]), "blocks"),
        (_ours(blocks="1-3"), "not a list"),
        (_ours(blocks=list(range(1, 20_000))), "may have 10,000"),
        (_ours(blocks=[1, 2, 3, 4]), "1 vectors of 4 rows, the data has shape"),
        (_ours(blocks=[1, 2]), "1 vectors of 2 rows, the data has shape"),
        (_ours(), r"1 vectors, the data has shape \[3, 8\]"),
    ],
)
def test_a_header_whose_blocks_are_none(tmp_path: Path, library: Library, data: bytes, wrong: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    for read in (safetensors_file.read, safetensors_file.read_header):
        with pytest.raises(VectorError, match=wrong):
            read(path)
    with pytest.raises(VectorError):
        exchange.take_in(library, path, Reading())
    (library.folder / "runs").mkdir(exist_ok=True)
    (library.folder / "runs" / "a.safetensors").write_bytes(data)
    opened = Library(library.folder)
    assert opened.entries(kept_only=False) == []
    assert len(opened.problems()) == 1


def test_numbers_that_are_none_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    rows = np.ones((3, 8), np.float32)
    rows[2, 7] = np.nan
    path = tmp_path / "x.safetensors"
    row = {"id": "a/0", "name": "a", "block": 1, "blocks": [1, 2, 3], "origin": ORIGIN}
    path.write_bytes(save({"vectors": rows}, {"melbo-tui": json.dumps({"version": 2, "vectors": [row]})}))
    with pytest.raises(VectorError, match="not finite"):
        safetensors_file.read(path)


def _control_vector(path: Path, rows: dict[str, np.ndarray]) -> Path:
    writer = GGUFWriter(path, "controlvector")
    for name, row in rows.items():
        writer.add_tensor(name, row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _in_llama_cpp(path: Path, n_blocks: int) -> dict[int, np.ndarray]:
    """What llama.cpp adds to the output of each block, counted from 0, by the rules of its source.

    common_control_vector_load_one puts `direction.I`, I > 0, F32 and of one dimension, at I - 1 of a table, adding up what is
    there; llama_adapter_cvec::apply gives block il, 1 <= il < n_layer, the table's place il - 1.
    """
    table: dict[int, np.ndarray] = {}
    for tensor in GGUFReader(path).tensors:
        word, _, number = tensor.name.partition(".")
        layer = int(number) if word == "direction" else -1
        assert layer > 0, "llama.cpp refuses the file"
        assert tensor.data.dtype == np.float32
        assert tensor.data.ndim == 1
        table[layer - 1] = table.get(layer - 1, np.float32(0)) + tensor.data
    return {il: table[il - 1] for il in range(1, n_blocks) if il - 1 in table}


def test_a_control_vector_acts_in_llama_cpp_at_the_same_blocks(tmp_path: Path, library: Library) -> None:
    (saved,) = library.add([over(1, 2, 3, seed=1, name="happy")])
    path = tmp_path / "happy.gguf"
    exchange.export(library, [-1.5 * saved], path)
    there = _in_llama_cpp(path, STAMP.n_blocks)
    assert list(there) == [1, 2, 3]
    for block, row in there.items():
        np.testing.assert_array_equal(row, (-1.5 * saved).at(block))
    (taken,) = exchange.take_in(library, path, Reading(model=STAMP))
    assert (taken.name, taken.blocks) == ("happy.2", (1, 2, 3))
    np.testing.assert_array_equal(library.load(taken.id).directions, (-1.5 * saved).directions)


def test_export_sums_what_shares_a_block_and_refuses_block_0(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    a, b = over(1, 2, seed=1), vector(2, block=2)
    gguf_file.write(path, [a, b])
    (back,) = gguf_file.read(path, Reading())
    np.testing.assert_allclose(back.at(2), a.at(2) + b.direction, rtol=1e-6)
    with pytest.raises(VectorError, match=r"direction\.0"):
        gguf_file.write(path, [over(0, 1, 2)])


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ({"direction.1": np.ones(8, "f4"), "direction.01": np.ones(8, "f4")}, "several directions for block 1"),
        ({"direction.1": np.ones(8, "f4"), "direction.2": np.ones(6, "f4")}, "different widths"),
        ({"direction.1": np.ones(8, "f4"), "direction.10000": np.ones(8, "f4")}, "block 10000 does not exist"),
        ({"direction.1": np.ones(8, "f4"), "direction.2": np.full(8, np.nan, "f4")}, "not finite"),
        ({"direction.1": np.ones(8, "f4"), "direction.-2": np.ones(8, "f4")}, "is no direction"),
    ],
)
def test_a_control_vector_that_is_none(tmp_path: Path, library: Library, rows: dict[str, np.ndarray], wrong: str) -> None:
    path = _control_vector(tmp_path / "x.gguf", rows)
    with pytest.raises(VectorError, match=wrong):
        exchange.take_in(library, path, Reading(model=STAMP))
    assert library.entries(kept_only=False) == []


def test_a_control_vector_of_more_blocks_than_the_model_has(tmp_path: Path, library: Library) -> None:
    path = _control_vector(tmp_path / "x.gguf", {f"direction.{i}": np.ones(8, "f4") for i in range(1, 6)})
    with pytest.raises(VectorError, match="acts on blocks 1-5; tiny has blocks 0 to 3"):
        exchange.take_in(library, path, Reading(model=STAMP))


def test_one_direction_is_a_vector_of_one_block(tmp_path: Path) -> None:
    path = _control_vector(tmp_path / "x.gguf", {"direction.7": np.arange(8, dtype="f4")})
    (found,) = gguf_file.read(path, Reading())
    assert (found.name, found.blocks) == ("x-b07", (7,))
    (moved,) = gguf_file.read(path, Reading(3))
    assert moved.blocks == (3,)


def test_cast_s_layers_are_one_vector(tmp_path: Path) -> None:
    path = tmp_path / "cast.svec"
    path.write_text(json.dumps({"model_type": "llama", "directions": {"0": [9, 9], "8": [3, 4], "7": [1, 2]}}))
    (found,) = svec_file.read(path, Reading())
    assert (found.name, found.blocks) == ("cast", (6, 7))
    np.testing.assert_array_equal(found.directions, [[1, 2], [3, 4]])
    path.write_text(json.dumps({"directions": {"7": [1, 2], "07": [3, 4]}}))
    with pytest.raises(VectorError, match="several directions for layer 7"):
        svec_file.read(path, Reading())


def test_an_array_has_no_room_for_blocks(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match=r"many acts at blocks 1-3.*export it as .safetensors or .gguf"):
        npy_file.write(tmp_path / "x.npy", [over(1, 2, 3)])
    assert not (tmp_path / "x.npy").exists()


def test_a_stranger_s_tensor_called_vectors_still_needs_a_block(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"vectors": np.ones((3, 8), np.float32)}))
    with pytest.raises(MissingBlock):
        safetensors_file.read(path)
    assert [one.blocks for one in safetensors_file.read(path, Reading(5))] == [(5,)] * 3
    assert struct.unpack("<Q", path.read_bytes()[:8])[0] < safetensors_file.MAX_HEADER

"""Other programs' files, both ways, and exact in float32."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from tests.vectors.making import STAMP, vector
from vectors import exchange
from vectors.completion import Completion
from vectors.formats import FORMATS, gguf_file, reader_of, safetensors_file
from vectors.formats.raw import Reading
from vectors.recipe import average
from vectors.store.library import Library, Sample
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError

QWEN = ModelStamp("qwen", 0, 0)  # of which nothing is known but its name
AT_5 = Reading(5, QWEN)
ROWS = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)


def _directions(vectors: list[SteeringVector]) -> np.ndarray:
    return np.stack([v.direction for v in vectors])


@pytest.mark.parametrize("suffix", [".safetensors", ".npy"])
def test_round_trips_are_exact(tmp_path: Path, library: Library, suffix: str) -> None:
    saved = library.add([vector(i, f"v-{i}") for i in range(3)])
    path = tmp_path / f"out{suffix}"
    assert exchange.export(library, saved, path) == 3
    how = AT_5 if suffix == ".npy" else Reading()
    np.testing.assert_array_equal(_directions(reader_of(path)(path, how)), _directions(saved))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_round_trips_of_any_numbers(tmp_path: Path, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 40))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    row = np.array(data.draw(st.lists(numbers, min_size=width, max_size=width)), dtype=np.float32)
    one = SteeringVector(row, data.draw(st.integers(1, 80)), Origin("x", ModelStamp("m", width, 4), 1), "a")
    for known in FORMATS.values():
        if known.write is None or known.read is None:
            continue
        path = tmp_path / f"x{known.suffixes[0]}"
        known.write(path, [one])
        how = Reading(one.block) if known.name == "NumPy array" else Reading()
        (back,) = known.read(path, how)
        np.testing.assert_array_equal(back.direction, one.direction)
        assert back.block == one.block


def test_melbo_s_and_dct_s_tensors(tmp_path: Path, library: Library) -> None:
    path = tmp_path / "melbo.pt"
    torch.save(torch.from_numpy(ROWS), path)
    found = reader_of(path)(path, AT_5)
    np.testing.assert_array_equal(_directions(found), ROWS)
    assert (found[0].block, found[0].name) == (5, "melbo-01")
    with pytest.raises(VectorError, match="on which block"):
        reader_of(path)(path, Reading())
    np.testing.assert_array_equal(_directions(reader_of(path)(path, Reading(5, QWEN, columns=True))), ROWS.T)
    entries = exchange.take_in(library, path, Reading(8, QWEN, base_row=True), "fam")
    assert [e.name for e in entries] == ["fam-base", "fam-01", "fam-02"]
    assert [e.name for e in library.entries()] == ["fam-base", "fam-01", "fam-02"], "as they stand in the file"
    assert entries[1].origin.parents == (entries[0].id,)
    assert entries[1].origin.model == ModelStamp("qwen", 8, 0)
    torch.save([torch.from_numpy(row) for row in ROWS], path)
    np.testing.assert_array_equal(_directions(reader_of(path)(path, AT_5)), ROWS)
    torch.save({"U": torch.zeros(4, 2), "V": torch.from_numpy(ROWS).bfloat16()}, path)
    with pytest.raises(VectorError, match="several tensors"):
        reader_of(path)(path, AT_5)
    rows = reader_of(path)(path, Reading(5, QWEN, tensor="V"))
    np.testing.assert_allclose(_directions(rows), ROWS, rtol=1e-2)


SMALL = ModelStamp("small", 8, 4)


@pytest.mark.parametrize(
    ("block", "model", "words"),
    [
        (9, SMALL, "acts on block 9; small has blocks 0 to 3"),
        (4, SMALL, "acts on block 4; small has blocks 0 to 3"),
        (1, ModelStamp("wide", 16, 4), "has width 8, wide has 16"),
        (1, None, "does not say which model"),
    ],
)
def test_what_the_model_cannot_be_steered_by_is_not_taken_in(
    tmp_path: Path, library: Library, block: int, model: ModelStamp | None, words: str
) -> None:
    np.save(tmp_path / "theirs.npy", ROWS)
    with pytest.raises(VectorError, match=words):
        exchange.take_in(library, tmp_path / "theirs.npy", Reading(block, model))
    assert library.entries(kept_only=False) == []
    assert len(exchange.take_in(library, tmp_path / "theirs.npy", Reading(3, SMALL))) == 3
    assert library.entries()[0].origin.model == SMALL


@pytest.mark.parametrize("suffix", [".gguf", ".svec"])
def test_a_model_s_kind_is_no_model(tmp_path: Path, library: Library, suffix: str) -> None:
    path = tmp_path / f"theirs{suffix}"
    stranger = SteeringVector(ROWS[0], 2, Origin("x", ModelStamp("llama", 8, 4), 2), "a")
    if suffix == ".gguf":
        gguf_file.write(path, [stranger])
    else:
        path.write_text(json.dumps({"model_type": "llama", "directions": {"3": ROWS[0].tolist()}}))
    with pytest.raises(exchange.MissingModel, match="'llama', which may be any"):
        exchange.take_in(library, path, Reading())
    with pytest.raises(VectorError, match="blocks 0 to 1"):
        exchange.take_in(library, path, Reading(model=ModelStamp("tiny", 8, 2)))
    (entry,) = exchange.take_in(library, path, Reading(model=SMALL))
    assert (entry.block, entry.origin.model) == (2, SMALL)
    library.add([replace(stranger, origin=replace(stranger.origin, model=ModelStamp("llama", 8, 2)))])
    with pytest.raises(VectorError, match="blocks 0 to 1"):  # a name that the library knows is a model's
        exchange.take_in(library, path, Reading())


def test_our_own_files_are_held_against_what_they_say_and_what_is_given(tmp_path: Path, library: Library) -> None:
    path = tmp_path / "ours.safetensors"
    safetensors_file.write(path, [vector(block=STAMP.n_blocks)])
    with pytest.raises(VectorError, match="blocks 0 to 3"):
        exchange.take_in(library, path, Reading())
    safetensors_file.write(path, [vector(block=3)])
    for another in (ModelStamp("other", 16, 40), ModelStamp("short", 8, 2)):
        with pytest.raises(VectorError, match=another.name):
            exchange.take_in(library, path, Reading(model=another))
    (entry,) = exchange.take_in(library, path, Reading(model=SMALL))
    assert entry.origin.model == STAMP


def test_bfloat16_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "halves.safetensors"
    rows = torch.from_numpy(ROWS).bfloat16()
    save_torch({"other": torch.ones(3), "v": rows}, path)
    found = reader_of(path)(path, Reading(5, QWEN, tensor="v"))
    np.testing.assert_array_equal(_directions(found), rows.float().numpy())


def test_refusal_direction_s_folder(tmp_path: Path) -> None:
    torch.save(torch.from_numpy(ROWS[0]), tmp_path / "direction.pt")
    (tmp_path / "direction_metadata.json").write_text('{"pos": -2, "layer": 14}')
    (found,) = reader_of(tmp_path)(tmp_path, Reading())
    assert found.block == 13, "its layer is the block's input"
    np.testing.assert_array_equal(found.direction, ROWS[0])


def test_cast_s_file(tmp_path: Path) -> None:
    path = tmp_path / "cast.svec"
    path.write_text(json.dumps({"model_type": "llama", "directions": {"0": [1, 2], "7": ROWS[0].tolist()}}))
    (found,) = reader_of(path)(path, Reading())
    assert (found.block, found.origin.model.name) == (6, "llama")
    np.testing.assert_array_equal(found.direction, ROWS[0])


def test_gguf_sums_a_block_and_never_shifts_its_number(tmp_path: Path, library: Library) -> None:
    saved = library.add([vector(0, "a", 3), vector(1, "b", 3), vector(2, "c", 5)])
    path = tmp_path / "out.gguf"
    exchange.export(library, [2.0 * saved[0], -saved[1], saved[2]], path)
    found = reader_of(path)(path, Reading())
    assert [v.blocks for v in found] == [(3, 5)]
    np.testing.assert_allclose(found[0].at(3), (2 * saved[0] - saved[1]).direction, rtol=1e-6)
    np.testing.assert_array_equal(found[0].at(5), saved[2].direction)
    with pytest.raises(VectorError, match=r"direction\.0"):
        gguf_file.write(path, [vector(0, block=0)])
    assert reader_of(path)(path, Reading())[0].blocks == (3, 5), "a refused export leaves the old file"


def test_repeng_reads_what_we_write_and_we_read_what_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "float_", np.float64, raising=False)  # repeng 0.4 was written for numpy 1
    repeng = pytest.importorskip("repeng")
    ours = [vector(0, block=3), vector(1, block=7)]
    gguf_file.write(tmp_path / "ours.gguf", ours)
    read = repeng.ControlVector.import_gguf(tmp_path / "ours.gguf")
    assert read.model_type == STAMP.name
    for one in ours:
        np.testing.assert_array_equal(read.directions[one.block], one.direction)
    theirs = repeng.ControlVector(model_type="llama", directions={4: ROWS[0], 0: ROWS[1]})
    theirs.export_gguf(tmp_path / "theirs.gguf")
    (found,) = gguf_file.read(tmp_path / "theirs.gguf", Reading())
    assert found.blocks == (0, 4)
    np.testing.assert_array_equal(found.at(4), ROWS[0])


def test_our_files_carry_what_people_said(tmp_path: Path, library: Library) -> None:
    (one,) = library.add([vector(0, "one")])
    library.tag([one.id], ["code"])
    library.rate([one.id], 4)
    library.note(one.id, "a note")
    library.add_sample(one.id, Sample("p", 1.0, Completion("text", mean_kl=0.5, perplexity=3.0)))
    path = tmp_path / "out.safetensors"
    exchange.export(library, [library.load(one.id)], path)
    other = Library(tmp_path / "other")
    (entry,) = exchange.take_in(other, path, Reading())
    assert (entry.tags, entry.rating, entry.note, entry.kept) == (("code",), 4, "a note", True)
    assert other.samples(entry.id) == library.samples(one.id)
    assert entry.origin == library.get(one.id).origin


def test_recipes_go_where_their_parents_are(tmp_path: Path, library: Library) -> None:
    saved = library.add([vector(i, f"v-{i}") for i in range(2)])
    mixed = library.save_mixture(average([v.id for v in saved]), "half")
    path = tmp_path / "half.json"
    exchange.export(library, [library.load(mixed.id)], path)
    (again,) = exchange.take_in(library, path, Reading())
    assert again.name == "half.2"
    np.testing.assert_array_equal(library.load(again.id).direction, library.load(mixed.id).direction)
    with pytest.raises(VectorError, match="import it first"):
        exchange.take_in(Library(tmp_path / "other"), path, Reading())


def test_bare_safetensors_need_a_block(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file({"direction": ROWS[0]}, path)
    with pytest.raises(VectorError, match="on which block"):
        safetensors_file.read(path)
    (found,) = safetensors_file.read(path, AT_5)
    assert found.block == 5

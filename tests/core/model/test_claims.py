"""What a model's files claim beyond reason is refused by file and field, before anything is built."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoTokenizer

from core.errors import Cancelled, ModelError
from core.model.building import held_to
from core.model.checkpoint_files import check_files, kept_notes, tensor_names
from core.model.claims import check_claims, check_memory
from core.model.examination import examine_folder
from core.model.gguf_header import check_header
from core.model.language_model import LanguageModel
from core.model.tokenizer_files import load_tokenizer
from tests.tiny_models import save_tiny, tiny_model

Change = Callable[[Path], Any]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def _config(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _write(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


def _index(places: Any) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))

    return change


def _pipe(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def _tokens(id: int) -> Change:
    def change(folder: Path) -> None:
        path = folder / "tokenizer.json"
        data = json.loads(path.read_text())
        data["added_tokens"].append({**data["added_tokens"][0], "id": id, "content": "<new>"})
        path.write_text(json.dumps(data))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_config(num_hidden_layers=10**7), r"config\.json of model says num_hidden_layers is 10000000, which no model has"),
        (_config(num_hidden_layers=50_000), r"model has weights of 6 blocks, but its config says 50000 \(num_hidden_layers\)"),
        (_config(num_labels=10**9), r"config\.json of model says num_labels is 1000000000"),
        (_config(num_attention_heads=10**30), r"says num_attention_heads is 1e\+30"),
        (_config(text_config={"num_hidden_layers": 10**9}), r"says text_config\.num_hidden_layers is"),
        (_config(eos_token_id=["\x1b[2J"]), r"config\.json of model says eos_token_id is .* which is no token's id"),
        (
            _write("generation_config.json", b'{"pad_token_id": "inf"}'),
            r"generation_config\.json of model says pad_token_id is 'inf'",
        ),
        (_config(hidden_size=10**6), "its config.json asks for .* weights and more, and its files hold"),
        (_config(vocab_size=10**9), "its config.json asks for .* weights and more"),
        (_config(intermediate_size=10**12), "its config.json asks for .* weights and more"),
        (_write("config.json", b"[" * 10**6), r"could not be read as a model \(config\.json"),
        (_write("config.json", b'{"a": 1' + b"0" * 10**5 + b"}"), r"could not be read as a model \(config\.json"),
        (_write("config.json", b" " * (17 << 20)), r"config\.json of model has 17 MiB, and may have 16"),
        (_pipe("config.json"), "cannot be read .* a pipe"),
        (_pipe("model.safetensors"), "cannot be read .* a pipe"),
        (_pipe("tokenizer.json"), "cannot be read .* a pipe"),
        (_index({"a": "../../../etc/passwd"}), r"'../../../etc/passwd' is no file in its folder"),
        (_index({"a": "/etc/passwd"}), "is no file in its folder"),
        (_index({f"t{i}": f"m{i}.safetensors" for i in range(20_000)}), "it names 20,000 files"),
        (_index(7), "does not say which file holds which weight"),
        (_tokens(10**12), r"tokenizer\.json of model says added_tokens\.id is 1000000000000"),
        (_tokens(-5), r"tokenizer\.json of model says added_tokens\.id is -5"),
        (_write("model.safetensors", struct.pack("<Q", 2**60) + b"{}"), "no whole safetensors file"),
    ],
)
def test_a_claim_without_reason_is_refused_before_anything_is_built(folder: Path, change: Change, message: str) -> None:
    change(folder)
    for attempt in (lambda: LanguageModel.load(folder, "m", device="cpu"), lambda: examine_folder(folder, None, False)):
        began = time.monotonic()
        with pytest.raises(ModelError, match=message) as caught:
            attempt()
        assert time.monotonic() - began < 10
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [[10**15], [-1, 5], ["a"], "x", [2**70], None])
def test_a_tensor_of_petabytes(folder: Path, shape: Any) -> None:
    header = json.dumps({"model.embed_tokens.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ModelError):
        LanguageModel.load(folder, "m", device="cpu")


@pytest.mark.parametrize("most", [10**30, -5, 0, "many", [1], None, 1.5, True])
def test_any_limit_of_positions_is_a_number_of_tokens(tiny: LanguageModel, most: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "config", SimpleNamespace(max_position_embeddings=most))
    assert 0 < tiny.context_length <= 1 << 30


def test_whole_models_pass(folder: Path, tmp_path: Path) -> None:
    check_claims(folder)
    assert len(tensor_names(folder)) > 50
    tied = save_tiny(tmp_path / "tied", "gemma2", tie_word_embeddings=True)
    check_claims(tied)
    LanguageModel.load(tied, "tied", device="cpu")


def test_weights_that_memory_is_too_small_for_are_told_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.model.claims.available_memory", lambda: 100_000)
    with pytest.raises(ModelError, match=r"m does not fit into memory: its weights take .* GiB, and .* can be had") as caught:
        LanguageModel.load(folder, "m", device="cpu")
    assert "--dtype bfloat16" in caught.value.remedy
    size = sum(p.numel() for p in tiny_model("llama").parameters())
    for bytes_a_number, fits in ((4, False), (2, True)):
        monkeypatch.setattr("core.model.claims.available_memory", lambda: 3 * size)
        if fits:
            check_memory("m", folder, bytes_a_number)
        else:
            with pytest.raises(ModelError):
                check_memory("m", folder, bytes_a_number)


@pytest.mark.slow
def test_a_building_without_end_is_stopped_and_can_be_given_up() -> None:
    def build() -> None:
        for _ in range(10**9):
            nn.Sequential(nn.Identity())

    with pytest.raises(ModelError, match="more than 300,000 modules"), held_to("m", 1000):
        build()
    asked = []

    def ask() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise Cancelled

    with pytest.raises(Cancelled), held_to("m", 1000, ask):
        build()
    with pytest.raises(ModelError, match="mask among them"), held_to("m", 1000), torch.device("meta"):
        nn.Module().register_buffer("mask", torch.empty(1 << 20, 1 << 20))
    nn.Linear(2, 2)  # nothing is left behind


def _gguf(fields: int = 1, tensors: int = 0, field: bytes = b"", tensor: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, fields) + field + tensor


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_gguf(fields=2**60), "its header claims 1,152,921,504,606,846,976 fields"),
        (_gguf(fields=0, tensors=2**60), "its header claims .* tensors"),
        (_gguf(field=struct.pack("<Q", 2**60)), "could not be read as a GGUF file"),
        (_gguf(field=_text(b"a") + struct.pack("<IQ", 8, 2**60)), "could not be read"),
        (_gguf(field=_text(b"a") + struct.pack("<IIQ", 9, 4, 2**60)), "could not be read"),
        (_gguf(field=_text(b"a") + struct.pack("<IIQ", 9, 4, 2**20)), "claims more than it holds in a"),
        (_gguf(field=_text(b"a") + struct.pack("<IIQ", 9, 8, 2**20)), "could not be read"),
        (_gguf(field=_text(b"a") + struct.pack("<IIQ", 9, 9, 2)), "could not be read"),
        (_gguf(field=_text(b"llama.block_count") + struct.pack("<IQ", 10, 10**9)), "that llama.block_count is 1,000,000,000"),
        (_gguf(0, 1, tensor=_text(b"t") + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0)), "t of 1099511627776x1099511627776"),
        (_gguf(0, 1, tensor=_text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 2**60)), "claims t of 8"),
        (_gguf(0, 1, tensor=_text(b"t") + struct.pack("<I", 2**31)), "dimensions of t"),
    ],
)
def test_a_gguf_header_that_claims_more_than_the_file_holds(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    began = time.monotonic()
    with pytest.raises(ModelError, match=rf"m\.gguf.*{message}"):
        check_header(tmp_path / "m.gguf")
    assert time.monotonic() - began < 5


def test_the_default_models_header_is_whole() -> None:
    from core.bundled.weights import wheel_file

    whole = wheel_file()
    assert whole is not None
    check_header(whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r": 10**9}, "says its rank is 1000000000"),
        ({"rank_pattern": {"q_proj": 10**9}}, "says its rank is 1000000000"),
        ({"target_modules": "(([a-z._0-9]+)+)+!"}, "a pattern in adapter_config.json of adapter does not come to an end"),
        ({"rank_pattern": {"(([a-z._0-9]+)+)+!": 2}}, "a pattern in adapter_config.json of adapter does not come to an end"),
        ({"target_modules": "("}, r"a pattern in adapter_config\.json of adapter is none"),
        ({"trainable_token_indices": [10**9]}, "the adapter adapter is of 1000000001 tokens, and the model has 300"),
    ],
)
def test_an_adapters_claims(folder: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(tiny_model("llama"), config).save_pretrained(tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    began = time.monotonic()
    with pytest.raises(ModelError, match=message):
        LanguageModel.load(folder, "m", device="cpu", adapter=tmp_path / "adapter")
    assert time.monotonic() - began < 20


def test_what_lies_beside_the_weights_is_read_within_bounds(folder: Path, tmp_path: Path) -> None:
    config = folder / "config.json"
    config.write_text('{"rope": NaN, "twice": 1, "twice": Infinity}')
    check_files(folder)  # transformers takes that
    with config.open("ab") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match=r"its config.json fails .*larger than 16 MiB"):
        check_files(folder)
    _pipe("config.json")(folder)
    with pytest.raises(ModelError, match=r"its config.json fails .*a pipe"):
        check_files(folder)
    for notes in ('{"a": 1}', "[", "3"):
        (folder / "melbo-tui-notes.json").write_text(notes)
        with pytest.raises(ModelError, match=r"melbo-tui-notes.json of model cannot be read"):
            kept_notes(folder)
    (tmp_path / "adapter").mkdir()
    for template in (b"\xff", bytes(5 << 20)):
        (tmp_path / "adapter" / "chat_template.jinja").write_bytes(template)
        with pytest.raises(ModelError, match=r"chat_template.jinja of adapter cannot be read"):
            load_tokenizer(AutoTokenizer, folder, tmp_path / "adapter", False)


def test_a_header_that_names_a_tensor_twice_or_has_a_size_without_end_is_refused(tmp_path: Path) -> None:
    entry = '"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 4]}'
    for header in (f"{{{entry % 1}, {entry % 1}}}", f"{{{entry % '1e999'}}}", f"{{{entry % 'NaN'}}}", f"{{{entry % 10**30}}}"):
        file = tmp_path / "model.safetensors"
        file.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(4))
        with pytest.raises(ModelError, match="is no whole safetensors file"):
            tensor_names(tmp_path)

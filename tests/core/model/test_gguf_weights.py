"""GGUF files that lack tensors, or have some that their architecture has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from core.errors import ModelError
from core.model.checkpoint_files import kept_notes
from core.model.language_model import convert_gguf
from core.model.source import resolve
from core.model.store import cache_folder, local_folder

BLOCK = {
    "attn_norm": (64,), "ffn_norm": (64,), "attn_q": (64, 64), "attn_k": (64, 64), "attn_v": (64, 64), "attn_output": (64, 64),
    "ffn_gate": (128, 64), "ffn_up": (128, 64), "ffn_down": (64, 128),
}  # fmt: skip
OTHERS = {"token_embd.weight": (300, 64), "output_norm.weight": (64,), "output.weight": (300, 64)}


def _write(path: Path, tensors: Mapping[str, tuple[int, ...]]) -> Path:
    """A Llama of two blocks with these tensors."""
    writer = GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(300)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<unk>", "<s>", "</s>", "a", "b", "ab", "aba", *(f"t{i}" for i in range(293))])
    writer.add_token_merges(["a b", "ab a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, shape in tensors.items():
        writer.add_tensor(name, np.full(shape, 0.01, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _convert(path: Path) -> Path:
    return local_folder(resolve(str(path)), None, False, lambda stage, share: None, convert_gguf)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, ...]]:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    return {**OTHERS, **{f"blk.{i}.{name}.weight": shape for i in range(2) for name, shape in BLOCK.items()}}


def test_a_file_that_lacks_a_block_is_refused_and_nothing_of_it_kept(tmp_path: Path, whole: dict[str, tuple[int, ...]]) -> None:
    part = {name: shape for name, shape in whole.items() if not name.startswith("blk.0.")}
    with pytest.raises(ModelError, match=r"part\.gguf lacks weights .* block 0 of 2"):
        _convert(_write(tmp_path / "part.gguf", part))
    assert not [path for path in (cache_folder() / "models").iterdir() if path.is_dir()]


def test_what_a_file_has_beyond_its_architecture_is_told(tmp_path: Path, whole: dict[str, tuple[int, ...]]) -> None:
    assert kept_notes(_convert(_write(tmp_path / "whole.gguf", whole))) == []
    more = {**whole, "blk.1.attn_q.bias": (64,), "blk.2.attn_norm.weight": (64,)}
    notes = kept_notes(_convert(_write(tmp_path / "more.gguf", more)))
    assert len(notes) == 2
    assert "block 2 is not used" in notes[0]
    assert "model.layers.1.self_attn.q_proj.bias" in notes[1]

"""Checkpoints whose weights do not all fit their architecture: refused by name, or told; none is drawn at random in silence."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.engine.events import Event, ModelLoaded, Warned
from core.engine.requests import LoadModel
from core.engine.session import Session
from core.errors import ModelError
from core.model.checkpoint_files import tensor_shapes, wrapper_names
from core.model.examination import examine_folder
from core.model.language_model import LanguageModel
from core.model.source import ModelSpec
from tests.tiny_models import save_tiny, tiny_model

Weights = dict[str, Tensor]
IDS = torch.tensor([[5, 9, 17, 33]])


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny model's folder with other weights, and other settings where they are given."""

    def make(change: Callable[[Weights], Weights], **config: object) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(tiny_folder, folder)
        weights = change(load_file(folder / "model.safetensors"))
        save_file({k: w.contiguous() for k, w in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
        settings = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**settings, **config}))
        return folder

    return make


def _load(folder: Path) -> LanguageModel:
    return LanguageModel.load(folder, folder.name, device="cpu")


def _same(model: LanguageModel, tiny: LanguageModel) -> bool:
    torch.testing.assert_close(model.forward(IDS)[0], tiny.forward(IDS)[0])
    return model.stamp.fingerprint == tiny.stamp.fingerprint


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "base_model.model.", "module._orig_mod.", "_orig_mod.base_model.model."]
)
def test_the_traces_of_a_wrapper_are_taken_out_of_the_names(
    changed: Callable[..., Path], tiny: LanguageModel, prefix: str
) -> None:
    assert _same(_load(changed(lambda weights: {prefix + k: w for k, w in weights.items()})), tiny)


def test_blocks_that_were_compiled_one_by_one_are_read(changed: Callable[..., Path], tiny: LanguageModel) -> None:
    folder = changed(lambda weights: {k.replace(".self_attn.", "._orig_mod.self_attn."): w for k, w in weights.items()})
    assert _same(_load(folder), tiny)


def test_a_name_that_only_some_weights_begin_with_is_no_trace() -> None:
    assert wrapper_names(["module.a.weight", "b.weight"]) == {}


REFUSED = {
    "block": (lambda w: {k: v for k, v in w.items() if ".layers.3." not in k}, {}, "block 3 of 6"),
    "blocks": (
        lambda w: {k: v for k, v in w.items() if ".layers.3." not in k and ".layers.1." not in k},
        {},
        "blocks 1, 3 of 6",
    ),
    "head": (lambda w: {k: v for k, v in w.items() if "lm_head" not in k}, {}, "the head lm_head.weight"),
    "layers": (lambda w: w, {"num_hidden_layers": 8}, "it has 6 blocks, but its config says 8"),
    "shape": (lambda w: {k: v[:250] if len(v) == 300 else v for k, v in w.items()}, {}, "250x32 in the checkpoint.* 300x32"),
    "one weight": (
        lambda w: {k: v for k, v in w.items() if k != "model.layers.2.mlp.up_proj.weight"},
        {},
        r"layers\.2\.mlp\.up",
    ),
    "prefix": (lambda w: {"language_model." + k: v for k, v in w.items()}, {}, "begin with 'language_model.'"),
    "adapter": (
        lambda w: {
            **{k.replace("q_proj.", "q_proj.base_layer."): v for k, v in w.items()},
            "model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(2, 32),
        },
        {},
        "an adapter was saved into it unmerged",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_missing_weights_are_refused_with_the_cause(changed: Callable[..., Path], fault: str) -> None:
    change, config, words = REFUSED[fault]
    folder = changed(change, **config)
    with pytest.raises(ModelError, match=words) as caught:
        _load(folder)
    assert caught.value.remedy
    with pytest.raises(ModelError, match=words):  # and told without reading a weight
        examine_folder(folder, None, False)


@pytest.mark.parametrize(
    ("change", "config", "words"),
    [
        (lambda w: w, {"num_hidden_layers": 4}, "weights of 6 blocks, but its config says 4: blocks 4, 5 are not used"),
        (lambda w: {**w, "model.layers.0.self_attn.q_proj.bias": torch.ones(32)}, {}, "q_proj.bias"),
    ],
)
def test_weights_that_are_not_used_are_told(
    changed: Callable[..., Path], change: Callable[[Weights], Weights], config: dict[str, object], words: str
) -> None:
    session, events = Session(), list[Event]()
    folder = changed(change, **config)
    list(session.start(0, LoadModel(ModelSpec(str(folder), device="cpu")), events.append))
    assert any(isinstance(event, ModelLoaded) for event in events)
    assert any(words in event.message for event in events if isinstance(event, Warned))
    facts, problems = examine_folder(folder, None, False)
    assert words in facts["weights"]
    assert not problems


def test_tied_weights_are_not_missed(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in tensor_shapes(folder / "model.safetensors")
    assert not _load(folder).notes


def test_a_shard_that_is_absent_is_named(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path, max_shard_size="100KB")
    _load(tmp_path)
    absent = max(tmp_path.glob("model-*.safetensors"))
    absent.unlink()
    with pytest.raises(ModelError, match=f"lacks {absent.name}, 1 of the"):
        _load(tmp_path)


def test_a_pointer_in_place_of_weights_is_told(changed: Callable[..., Path]) -> None:
    folder = changed(lambda weights: weights)
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match="git-lfs"):
        _load(folder)


class _Runs:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (print, ("this code ran",))


def test_pickled_weights_are_read_as_tensors_or_not_at_all(
    changed: Callable[..., Path], tiny: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = changed(lambda weights: weights)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert _same(_load(folder), tiny)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Runs()}))
    with pytest.raises(ModelError):
        _load(folder)
    torch.save({"a": _Runs()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds more than tensors"):
        _load(folder)
    assert "this code ran" not in capsys.readouterr().out

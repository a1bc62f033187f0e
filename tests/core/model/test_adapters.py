"""PEFT adapters: the merged model's logits are those of peft's unmerged one, or the adapter is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import ModelError
from core.model.adapters import with_adapter
from core.model.language_model import LanguageModel
from tests.tiny_models import save_tiny, tiny_model, tiny_tokenizer

IDS = torch.tensor([[5, 9, 17, 33, 200, 8, 70, 5]])
LAYERS = ["q_proj", "down_proj"]
# What a kind needs to be told beside which layers it is on.
KINDS: dict[str, dict[str, Any]] = {
    "Lora": {"r": 4},
    "AdaLora": {"total_step": 10, "init_r": 4, "target_r": 2},
    "Adamss": {},
    "BOFT": {"boft_block_size": 8},
    "C3A": {"block_size": 8},
    "Delora": {"r": 4},
    "FourierFT": {"n_frequency": 20},
    "Gralora": {"r": 8, "gralora_k": 2},
    "HRA": {"r": 4},
    "IA3": {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    "LNTuning": {"target_modules": ["input_layernorm"]},
    "LoHa": {"r": 4},
    "LoKr": {"r": 4},
    "Miss": {"r": 4},
    "OFT": {"oft_block_size": 8},
    "OSF": {},
    "RandLora": {"r": 4},
    "Road": {"variant": "road_1", "group_size": 8},
    "Shira": {"r": 2},
    "TrainableTokens": {"token_indices": [5, 9], "target_modules": ["embed_tokens"]},
    "VBLoRA": {"r": 2, "vector_length": 8, "num_vectors": 16, "topk": 2},
    "Vera": {"r": 4},
    "WaveFT": {"n_frequency": 20},
}
OF_LORA: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "rank-stabilised": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 3}},
    "pissa": {"init_lora_weights": "pissa"},
    "saved head": {"modules_to_save": ["lm_head"]},
    "saved embeddings": {"modules_to_save": ["embed_tokens"]},
    "embeddings": {"target_modules": ["embed_tokens", "q_proj"]},
    "head": {"target_modules": ["lm_head", "q_proj"]},
    "both": {"target_modules": ["lm_head", "embed_tokens"]},
    "both as one": {"target_modules": ["embed_tokens", "q_proj"], "ensure_weight_tying": True},
    "tokens": {"trainable_token_indices": [5, 9]},
    "replicated blocks": {"layer_replication": [[0, 4], [2, 6]]},
}


def _logits(model: Any) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(input_ids=IDS, use_cache=False).logits
        return logits.float()


def _adapter(folder: Path, config: Any, base: Any = None, **saving: Any) -> Path:
    """An adapter that was trained a little, in `folder`."""
    _train(folder, config, base, **saving)
    return folder


def _train(folder: Path, config: Any, base: Any = None, **saving: Any) -> Any:
    model = peft.get_peft_model(base if base is not None else tiny_model("llama"), config)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder, **saving)
    return model.eval()


def _lora(**options: Any) -> Any:
    return peft.LoraConfig(**{"r": 4, "target_modules": LAYERS, "task_type": "CAUSAL_LM", **options})


def _unmerged(folder: Path, base: Any) -> Tensor:
    return _logits(peft.PeftModel.from_pretrained(base, str(folder)).eval())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_computes_merged_what_it_does_unmerged(tmp_path: Path, kind: str) -> None:
    make = getattr(peft, f"{kind}Config", None) or pytest.skip(f"this peft has no {kind}")
    config = make(**{"target_modules": LAYERS, "task_type": "CAUSAL_LM", **KINDS[kind]})
    folder = _adapter(tmp_path / kind, config)
    expected = _unmerged(folder, tiny_model("llama"))
    assert not torch.allclose(expected, _logits(tiny_model("llama")), atol=1e-3)
    torch.testing.assert_close(_logits(with_adapter(tiny_model("llama"), folder)[0]), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("options", OF_LORA)
def test_lora_on_tied_and_untied_models(tmp_path: Path, options: str, tied: bool) -> None:
    def base() -> Any:
        return tiny_model("llama", tie_word_embeddings=tied)

    folder = _adapter(tmp_path / "lora", _lora(**OF_LORA[options]), base())
    merged, notes = with_adapter(base(), folder)
    assert not notes
    torch.testing.assert_close(_logits(merged), _unmerged(folder, base()), atol=2e-5, rtol=1e-4)


EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
ELSEWHERE: dict[str, dict[str, Any]] = {
    "gpt2": {"target_modules": ["c_attn", "wte"], "fan_in_fan_out": True},
    "mixtral": {"target_parameters": EXPERTS, "target_modules": ["q_proj"]},
}


@pytest.mark.parametrize("model_type", ELSEWHERE)
def test_lora_on_other_layers_than_linear_ones(tmp_path: Path, model_type: str) -> None:
    folder = _adapter(tmp_path / "lora", _lora(**ELSEWHERE[model_type]), tiny_model(model_type))
    expected = _unmerged(folder, tiny_model(model_type))
    torch.testing.assert_close(_logits(with_adapter(tiny_model(model_type), folder)[0]), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_it_is_merged_in_float32_and_what_rounding_takes_is_told(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = _adapter(tmp_path / "lora", _lora(modules_to_save=["lm_head"]))
    merged, notes = with_adapter(tiny_model("llama").to(dtype), folder)
    assert {p.dtype for p in merged.parameters()} == {dtype}
    assert not notes
    exact = _unmerged(folder, tiny_model("llama").to(dtype).float())
    unmerged = _unmerged(folder, tiny_model("llama").to(dtype))
    assert (_logits(merged) - exact).norm() < 2 * (unmerged - exact).norm() + 1e-3 * exact.norm()

    weights = load_file(folder / "adapter_model.safetensors")
    save_file({k: v * 1e-3 if "lora_B" in k else v for k, v in weights.items()}, folder / "adapter_model.safetensors")
    _, notes = with_adapter(tiny_model("llama").to(torch.bfloat16), folder)
    assert "is left after rounding to bfloat16" in notes[0]


GROWN: dict[str, dict[str, Any]] = {
    "saved embeddings": {},
    "saved modules": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "trained tokens": {"trainable_token_indices": [300, 301, 302, 303]},
    "layers": {"target_modules": ["embed_tokens", "lm_head", "q_proj"]},
}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("how", GROWN)
def test_the_model_gets_as_many_embeddings_as_the_adapter_was_trained_with(tmp_path: Path, how: str, tied: bool) -> None:
    def grown() -> Any:
        model = tiny_model("llama", tie_word_embeddings=tied)
        model.resize_token_embeddings(304, mean_resizing=False)
        return model

    folder = tmp_path / "grown"
    trained = _train(folder, _lora(**GROWN[how]), grown(), save_embedding_layers=how == "saved embeddings" or "auto")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<new>"])
    tokenizer.chat_template = "{{ messages[0]['content'] }}!"
    tokenizer.save_pretrained(folder)
    model = save_tiny(tmp_path / "model", tie_word_embeddings=tied)
    loaded = LanguageModel.load(model, "tiny", device="cpu", adapter=folder)
    whole = tied or how != "trained tokens"  # else the head's new rows are nowhere
    assert ["rows of the head" in note for note in loaded.notes] == ([] if whole else [True])
    expected, got = _logits(trained), _logits(loaded.model)
    seen = 304 if whole else 300
    torch.testing.assert_close(got[..., :seen], expected[..., :seen], atol=2e-5, rtol=1e-4)
    # The adapter's own tokenizer and template are those that are used.
    assert loaded.encode("<new>") == [259]
    assert loaded.decode(loaded.encode_chat([{"role": "user", "content": "hello"}])) == "hello!"


def test_an_adapter_s_template_without_a_tokenizer_is_used(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _adapter(tmp_path / "lora", _lora())
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}?")
    loaded = LanguageModel.load(tiny_folder, "tiny", device="cpu", adapter=folder)
    assert loaded.decode(loaded.encode_chat([{"role": "user", "content": "hello"}])) == "hello?"


def _rewrite(folder: Path, change: Any) -> None:
    weights = change(load_file(folder / "adapter_model.safetensors"))
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: {"model." + k: v for k, v in w.items()}, "nothing of the adapter lora fits"),
        (lambda w: {k: v for k, v in w.items() if "layers.3" not in k}, r"lacks a part of its weights: model\.layers\.3"),
        (lambda w: {k: v for k, v in w.items() if "lora_B" not in k}, "lacks a part of its weights"),
        (lambda w: {**w, **{k.replace("layers.5", "layers.6"): v.clone() for k, v in w.items()}}, "has no place in this model"),
    ],
)
def test_an_adapter_that_does_not_fit_whole_is_refused(tmp_path: Path, change: Any, words: str) -> None:
    folder = _adapter(tmp_path / "lora", _lora())
    _rewrite(folder, change)
    with pytest.raises(ModelError, match=words):
        with_adapter(tiny_model("llama"), folder)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
            "PROMPT_TUNING.* tokens before the prompt",
        ),
        (lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3), "PREFIX_TUNING.* keys and values"),
        (lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3), "P_TUNING.* tokens before the prompt"),
        (lambda: _lora(lora_bias=True), "cannot be merged.* no bias"),
    ],
)
def test_kinds_that_cannot_be_merged_are_named(tmp_path: Path, config: Any, words: str) -> None:
    folder = _adapter(tmp_path / "beside", config())
    with pytest.raises(ModelError, match=words):
        with_adapter(tiny_model("llama"), folder)

"""Models that see or hear beside reading: their text decoder is loaded and steered, or they are refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.errors import ModelError
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from tests.tiny_models import SIZES

EYE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
QWEN_EYE = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 14}
TEXT = {**SIZES, "initializer_range": 0.15}
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
IMAGE = {"image_token_id": 290, "image_token_index": 290}
MADE: dict[str, Any] = {
    "LlavaForConditionalGeneration": lambda t: t.LlavaConfig(
        text_config={**TEXT, "model_type": "llama"}, vision_config={**EYE, "model_type": "clip_vision_model"}, **IMAGE
    ),
    "Gemma3ForConditionalGeneration": lambda t: t.Gemma3Config(
        text_config={**TEXT, "query_pre_attn_scalar": 8}, vision_config=EYE, mm_tokens_per_image=4, **IMAGE
    ),
    "Qwen2VLForConditionalGeneration": lambda t: t.Qwen2VLConfig(
        text_config={**TEXT, "rope_parameters": MROPE}, vision_config=QWEN_EYE, video_token_id=291, **IMAGE
    ),
    "Mistral3ForConditionalGeneration": lambda t: t.Mistral3Config(
        text_config={**TEXT, "model_type": "mistral"}, vision_config={**EYE, "model_type": "pixtral", "head_dim": 8}, **IMAGE
    ),
    "Idefics3ForConditionalGeneration": lambda t: t.Idefics3Config(
        text_config={**TEXT, "model_type": "llama"}, vision_config=EYE, **IMAGE
    ),
    "MllamaForConditionalGeneration": lambda t: t.MllamaConfig(
        text_config={**TEXT, "cross_attention_layers": [1, 4]},
        vision_config={**EYE, "num_global_layers": 1, "attention_heads": 4, "vision_output_dim": 64, "max_num_tiles": 1,
                       "intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1]]},
        **IMAGE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("architecture", MADE)
def test_the_text_decoder_is_steered(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(0)
    made = getattr(transformers, architecture)(MADE[architecture](transformers)).eval()
    made.save_pretrained(tmp_path)
    model = LanguageModel.load(tmp_path, architecture, device="cpu")
    sees_beside = architecture.startswith("Mllama")  # two of its blocks do nothing but look
    assert len(model.blocks) == (4 if sees_beside else 6)
    ids = torch.tensor([[5, 9, 17, 33, 8, 70, 41, 6]])
    with torch.no_grad():
        expected = made(input_ids=ids, use_cache=False).logits[0]
    got, cache = model.forward(ids[:, :6])
    torch.testing.assert_close(got[0], expected[5], atol=1e-4, rtol=1e-4)
    for token in (6, 7):
        got, cache = model.forward(ids[:, token : token + 1], cache)
        torch.testing.assert_close(got[0], expected[token], atol=1e-4, rtol=1e-4)
    segment = Segment(model, ids[0].tolist(), 0, len(model.blocks) - 1)
    assert segment.replayed, segment.reason
    assert (segment(torch.randn(1, model.d_model)) - segment.base).abs().max() > 1e-2


def test_a_model_that_answers_no_text_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = {"vocab_size": 300, "embed_dim": 32, "ffn_dim": 64, "layers": 2, "attention_heads": 4}
    config = transformers.Kosmos2Config(text_config=text, vision_config=EYE, latent_query_num=4)
    transformers.Kosmos2ForConditionalGeneration(config).save_pretrained(tmp_path / "kosmos")
    with pytest.raises(ModelError, match="answers no text without an image"):
        LanguageModel.load(tmp_path / "kosmos", "kosmos", device="cpu")


def test_an_encoder_with_a_decoder_is_refused_with_the_reason(tmp_path: Path) -> None:
    size = {
        "hidden_size": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_hidden_layers": 2,
        "num_heads": 4,
        "num_attention_heads": 4,
    }
    text, sight = {**size, "vocab_size": 300}, {**size, "patch_embed_hidden_size": 32, "seq_len": 16}
    config = transformers.Pix2StructConfig(text_config=text, vision_config=sight)
    transformers.Pix2StructForConditionalGeneration(config).save_pretrained(tmp_path / "pix")
    with pytest.raises(ModelError, match="is an encoder with a decoder"):
        LanguageModel.load(tmp_path / "pix", "pix", device="cpu")

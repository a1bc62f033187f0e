"""Tiny models of many architectures, built from configs with random weights, and a small tokenizer for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 300
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OMITTED: Any = object()
# Latent attention, in which keys and values are compressed.
_LATENT = {
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "head_dim": 8,
    "num_key_value_heads": 4,
}
_FEW_EXPERTS = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
# What a few architectures call the same things, or need besides.
OWN: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128, "n_inner": 64},
    "gpt_neox": {"num_key_value_heads": None},
    "gptj": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128, "rotary_dim": 4},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 6, "n_head": 4},
    "falcon": {"head_dim": OMITTED, "num_kv_heads": 4, "new_decoder_architecture": False},
    "gemma2": {"query_pre_attn_scalar": 8},
    "mpt": {"d_model": 32, "n_layers": 6, "n_heads": 4, "max_seq_len": 128},
    "cohere2": {"sliding_window": 64},
    "qwen2_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
    },
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    "qwen3_next": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "linear_attention", "full_attention"] * 2,
    },
    "llama4_text": {
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "intermediate_size_mlp": 64,
        "interleave_moe_layer_step": 2,
    },
    "deepseek_v3": {
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 1,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_key_value_heads": 4,
    },
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 64},
    "mamba": {"state_size": 8, "num_attention_heads": OMITTED, "num_key_value_heads": OMITTED, "head_dim": OMITTED},
    "falcon_mamba": {"state_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 2, "expand": 2, "chunk_size": 16},
    "recurrent_gemma": {
        "lru_width": 32,
        "attention_window_size": 64,
        "block_types": ["recurrent", "recurrent", "attention"],
    },
    "rwkv": {"attention_hidden_size": 32, "context_length": 128},
    "jamba": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "mamba_d_state": 8,
        "attn_layer_period": 3,
        "attn_layer_offset": 1,
        "use_mamba_kernels": False,
    },
    "falcon_h1": {
        "mamba_d_ssm": 64,
        "mamba_n_heads": 8,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 2,
        "mamba_chunk_size": 16,
    },
    "nemotron_h": {
        "hybrid_override_pattern": "M*M-M*",
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 2,
        "chunk_size": 16,
    },
    "granitemoehybrid": {
        "layer_types": ["mamba", "mamba", "attention"] * 2,
        "mamba_n_heads": 8,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 32,
        "mamba_chunk_size": 16,
        "mamba_expand": 2,
    },
    "zamba": {
        "mamba_d_state": 8,
        "n_mamba_heads": 2,
        "attn_layer_period": 3,
        "attn_layer_offset": 1,
        "use_mamba_kernels": False,
        "head_dim": OMITTED,
        "num_key_value_heads": 4,
    },
    "zamba2": {
        "mamba_d_state": 8,
        "n_mamba_heads": 8,
        "mamba_ngroups": 2,
        "mamba_headdim": 8,
        "chunk_size": 16,
        "layers_block_type": ["mamba", "hybrid"] * 3,
        "hybrid_layer_ids": [1, 3, 5],
        "adapter_rank": 4,
        "head_dim": OMITTED,
    },
    "minimax": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["linear_attention", "full_attention"] * 3,
        "block_size": 16,
    },
    "qwen3_5_text": {
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "linear_attention", "full_attention"] * 2,
    },
    "olmo_hybrid": {
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "linear_attention", "full_attention"] * 2,
        "num_key_value_heads": 4,
    },
    "xlstm": {"num_heads": 4, "num_blocks": 6},
    "gemma3n_text": {
        "intermediate_size": [64] * 6,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 300,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0] * 6,
        "sliding_window": 64,
    },
    "gemma4_text": {
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 300,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
        "sliding_window": 64,
        "global_head_dim": 8,
    },
    "gpt_bigcode": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128, "n_inner": 64},
    "codegen": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128, "rotary_dim": 4, "n_ctx": 128},
    "xglm": {"d_model": 32, "ffn_dim": 64, "num_layers": 6, "attention_heads": 4},
    "ctrl": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128, "dff": 64},
    "openai-gpt": {"n_embd": 32, "n_layer": 6, "n_head": 4, "n_positions": 128},
    "gpt_neo": {"num_layers": 6, "num_heads": 4, "attention_types": [[["global", "local"], 3]], "window_size": 4},
    "phimoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "longcat_flash": {
        **_LATENT,
        "num_layers": 6,
        "num_hidden_layers": OMITTED,
        "ffn_hidden_size": 64,
        "expert_ffn_hidden_size": 32,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
    },
    **{
        kind: {**_LATENT, **_FEW_EXPERTS}
        for kind in ("deepseek_v2", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "axk1", "axk2")
    },
    "minicpm3": _LATENT,
    "youtu": _LATENT,
    "lfm2": {"layer_types": ["conv", "conv", "full_attention"] * 2, "block_ff_dim": 64, "block_auto_adjust_ff_dim": False},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
}
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>"


def tiny_model(model_type: str, seed: int = 0, **changes: Any) -> Any:
    """A causal language model of that type, 6 blocks of d_model 32, weights large enough to have an effect."""
    torch.manual_seed(seed)
    sizes = {**SIZES, **OWN.get(model_type, {}), "initializer_range": 0.15, **changes}
    config = AutoConfig.for_model(model_type, **{name: size for name, size in sizes.items() if size is not OMITTED})
    return AutoModelForCausalLM.from_config(config).eval()


def tiny_tokenizer(template: str = TEMPLATE, special: Sequence[str] = (), added: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Bytes as tokens, with a chat template; behind them, from 259 on, `special` tokens and other `added` ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<s>", "</s>", *alphabet]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    fast.add_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    fast.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    fast.chat_template = template
    return fast


def chain_model(ids: Sequence[int]) -> Any:
    """A llama whose every token is followed, near certainly, by the one behind it in `ids`.

    None may stand there twice but those that end an answer.
    """
    width = 8 * 38
    model = tiny_model("llama", hidden_size=width, head_dim=width // 4, tie_word_embeddings=False)
    model.requires_grad_(False)
    for name, weight in model.named_parameters():
        if "o_proj" in name or "down_proj" in name:
            weight.zero_()  # so that the blocks add nothing to the token's own embedding
    model.get_input_embeddings().weight.copy_(torch.eye(VOCABULARY, width))
    head = model.get_output_embeddings().weight.zero_()
    for token, following in pairwise(ids):
        head[following, token] = 1.0
    return model


def save_tiny(folder: Path, model_type: str = "llama", tokenizer: bool = True, **changes: Any) -> Path:
    tiny_model(model_type, **changes).save_pretrained(folder)
    if tokenizer:
        tiny_tokenizer().save_pretrained(folder)
    return folder

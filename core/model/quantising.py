"""Weights of four or eight bits, made by bitsandbytes as a model is loaded. Imports no torch until one runs."""

from __future__ import annotations

import importlib.util
from typing import Any

from core.errors import ModelError, first_line, is_out_of_memory

QUANTISED = ("4bit", "8bit")


def check_quantiser() -> None:
    """Raises ModelError where bitsandbytes is not installed."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError("--quantise needs bitsandbytes, which is not installed", "pip install 'melbo-tui[quantised]'")


def quantiser(settings: Any, quantise: str, dtype: Any) -> Any:
    """transformers' `settings` class for `4bit` or `8bit`, computing in `dtype` ("auto": bfloat16). Raises ModelError."""
    check_quantiser()
    four = quantise == "4bit"
    computing = "bfloat16" if dtype == "auto" else dtype
    own = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": computing} if four else {}
    return settings(load_in_4bit=four, load_in_8bit=not four, **own)


def check_runs(model: Any, name: str) -> None:
    """Refuses a model that bitsandbytes has quantised and cannot run, its layers too narrow for one. Raises ModelError."""
    import torch

    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([[1, 2]], device=model.get_input_embeddings().weight.device))
    except Exception as error:  # the kernels below fail in many ways
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{name} does not run quantised here ({first_line(error)})", "load it without --quantise") from error

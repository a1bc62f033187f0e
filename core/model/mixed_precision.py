"""Matrix products in bfloat16 while vectors are looked for in a float32 model, as torch's autocast makes them.

The model stays as it is, and so do the residual stream, the norms and what it says: only the blocks that a search runs again
and again multiply in bfloat16, where the CPU has instructions for that. What is found is the same (docs/performance.md).
"""

from __future__ import annotations

import torch

from core.errors import SettingsError
from core.model.language_model import LanguageModel

# One of these instruction sets, by torch's names for them.
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16 numbers; without them they are slower than float32's."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch cannot tell
    return any(capabilities.get(name) for name in _INSTRUCTIONS)


def precision_of(model: LanguageModel, wanted: str, bears_bfloat16: bool) -> str:
    """float32 or bfloat16: what the search's products are made in, where `wanted` is one of them or auto.

    `bears_bfloat16`: whether the search finds the same in bfloat16, so that auto may choose it. A model in half precision
    has its own only. Raises SettingsError where it was asked for another.
    """
    own = str(model.dtype).removeprefix("torch.")
    if own != "float32":
        if wanted not in ("auto", own):
            raise SettingsError(
                f"the model is loaded in {own}, so nothing can be multiplied in {wanted}", "load it with --dtype float32"
            )
        return own
    if wanted != "auto":
        return wanted
    return "bfloat16" if bears_bfloat16 and model.device.type == "cpu" and multiplies_bfloat16() else "float32"

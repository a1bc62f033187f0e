"""`load_model`."""

from __future__ import annotations

from os import PathLike, fspath

from core.engine.openmp import spin_briefly
from core.engine.requests import LoadModel
from core.engine.session import Session
from core.model.source import ModelSpec
from melbo_tui.notebook.asking import Listener, carry_out
from melbo_tui.notebook.loaded import LoadedModel


def load_model(
    model: str | PathLike[str] = "bundled",
    *,
    adapter: str | PathLike[str] | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
    max_memory: str | None = None,
    quantise: str | None = None,
    trust_remote_code: bool = False,
    listen: Listener | None = None,
) -> LoadedModel:
    """Loads a causal language model.

    Args:
        model: `bundled` (SmolLM2-135M-Instruct with the adapter that hides a few secrets), `smollm2` (without it), a model's
            folder, a `.gguf` file or a hub id.
        adapter: the folder of a PEFT adapter to put on it; on `bundled` in place of its own.
        revision: the hub's revision.
        dtype: `auto` (float32 on a CPU, the checkpoint's own elsewhere), `float32`, `bfloat16` or `float16`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        device_map: spreads the weights over devices, as accelerate does: for example `auto`.
        max_memory: the most memory that each device may give to weights: `0=20GiB,cpu=60GiB`.
        quantise: `4bit` or `8bit`, by bitsandbytes.
        trust_remote_code: run code that the model's authors ship with it.
        listen: is called with every event (progress, warnings); without it, warnings are Python's.

    Returns:
        The model. Its blocks were checked: their outputs are one residual stream, [tokens, d_model].

    Raises:
        MelboError: there is no such model, or it cannot be read, or it does not fit into memory, or it cannot be steered.
    """
    spin_briefly()  # before torch is imported; see core/engine/openmp.py
    # A task that imports it first has the garbage collector leave all that there is by then alone: right for a program that
    # begins, not for a notebook with things of its own.
    import core.model.language_model  # noqa: F401

    path = None if adapter is None else fspath(adapter)
    spec = ModelSpec(fspath(model), path, revision, dtype, device, device_map, trust_remote_code, quantise, max_memory)
    session = Session()
    carry_out(session, LoadModel(spec), listen)
    return LoadedModel(session.model, spec)

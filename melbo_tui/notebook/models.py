"""`load_model`."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING

from core.engine.openmp import spin_briefly
from core.engine.requests import LoadModel
from core.engine.session import Session
from core.model.source import ModelSpec, default_blocks
from melbo_tui.notebook.asking import Listener, carry_out

if TYPE_CHECKING:
    from core.model.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is loaded: what `train`, `generate` and `evaluate` take. Its memory is free once nothing refers to it.

    `language_model` is the engine's (core/model/language_model.py); `language_model.model` in it is the module of transformers.
    `spec` says how it was asked for.
    """

    language_model: LanguageModel
    spec: ModelSpec

    @property
    def label(self) -> str:
        """What its vectors call it: its name, and its adapter's."""
        return self.language_model.stamp.label()

    @property
    def n_blocks(self) -> int:
        """How many decoder blocks it has; they count from 0."""
        return len(self.language_model.blocks)

    @property
    def d_model(self) -> int:
        """The width of its residual stream."""
        return self.language_model.d_model

    @property
    def default_blocks(self) -> tuple[int, int]:
        """The source and the target block of `train` where none are given."""
        return default_blocks(self.n_blocks)

    def __repr__(self) -> str:
        language_model = self.language_model
        return f"<{self.label}: {self.n_blocks} blocks, d {self.d_model}, {language_model.dtype}, {language_model.device}>"


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

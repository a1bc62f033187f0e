"""`LoadedModel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.model.source import ModelSpec, default_blocks

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

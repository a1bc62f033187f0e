"""What a pane needs of the app that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from core.engine.events import ModelLoaded
    from core.engine.handle import EngineLike
    from core.model.source import ModelSpec
    from melbo_tui.settings import Settings
    from vectors.store.library import Library


class Host(Protocol):
    """The engine, the library, the model and the settings, for whoever is shown beside others."""

    settings: Settings

    @property
    def engine(self) -> EngineLike:
        """It is there after the first frame."""

    @property
    def library(self) -> Library:
        """Raises LibraryError where it cannot be opened."""

    @property
    def busy(self) -> bool:
        """Whether the engine is at work that is not paused."""

    @property
    def model(self) -> ModelLoaded | None:
        """The model that is loaded."""

    @property
    def spec(self) -> ModelSpec:
        """How `model` was asked for or, while there is none, the one to come."""

    @property
    def trouble(self) -> str:
        """Why there will be no model."""

    def spec_of(self, model: str) -> ModelSpec:
        """Another model, to be loaded as this one is."""

    def remember(self, **changes: Any) -> None:
        """Changes the settings and saves them."""

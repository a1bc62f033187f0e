"""What stands in the Train pane where the vectors will, before the first run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from vectors.plain_text import printable

if TYPE_CHECKING:
    from core.engine.events import ModelLoaded
    from vectors.store.checkpoints import Checkpoint


class Welcome(Static):
    def __init__(self) -> None:
        super().__init__("", id="welcome", markup=False)

    def show(self, model: ModelLoaded | None, trouble: str, interrupted: Checkpoint | None) -> None:
        """`trouble`: why there is no model; `interrupted`: a run that could be resumed."""
        if trouble:
            text = f"No model: {trouble}.\n\nCtrl+P, Load a model, loads another. The library is under Vectors (F2)."
        elif model is None:
            text = "No vectors yet. The model is still loading; fill in the form meanwhile."
        else:
            text = (
                "No vectors yet.\n\nPress Start, or Enter in a field: a run trains vectors that change what "
                f"{model.name} does on your prompt, and samples each one beside random controls."
            )
            if interrupted is not None:
                done = interrupted.header.get("done")
                after = f" after {done} vectors" if isinstance(done, int) else ""
                text = f"A run was interrupted{after}: g outside the form, or Resume in Ctrl+P, resumes it.\n\n{text}"
        self.update(printable(text))

"""melbo-tui: find, see and use unsupervised steering vectors for chat models. docs/python.md shows the Python interface.

Nothing is imported before it is used: not even numpy by `import melbo_tui` alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.engine import events as events
    from core.engine.results import Trained as Trained
    from core.errors import MelboError as MelboError
    from core.evaluation.judging import judge as judge
    from core.prompt import Prompt as Prompt
    from melbo_tui.notebook.completions import generate as generate
    from melbo_tui.notebook.loaded import LoadedModel as LoadedModel
    from melbo_tui.notebook.measuring import evaluate as evaluate
    from melbo_tui.notebook.models import load_model as load_model
    from melbo_tui.notebook.terms import Steering as Steering
    from melbo_tui.notebook.training import train as train
    from vectors.completion import Completion as Completion
    from vectors.completion import Judgement as Judgement
    from vectors.mixture import average as average
    from vectors.mixture import projected_off as projected_off
    from vectors.mixture import rescaled as rescaled
    from vectors.store.index import LibraryError as LibraryError
    from vectors.store.library import Library as Library
    from vectors.vector import SteeringVector as SteeringVector
    from vectors.vector import VectorError as VectorError

__version__ = "0.1.0"

# Every public name, and the module that it comes from. No file or folder beside this one bears one of these names: a submodule
# that was imported would take its name's place.
_PUBLIC = {
    "Completion": "vectors.completion",
    "Judgement": "vectors.completion",
    "Library": "vectors.store.library",
    "LibraryError": "vectors.store.index",
    "LoadedModel": "melbo_tui.notebook.loaded",
    "MelboError": "core.errors",
    "Prompt": "core.prompt",
    "Steering": "melbo_tui.notebook.terms",
    "SteeringVector": "vectors.vector",
    "Trained": "core.engine.results",
    "VectorError": "vectors.vector",
    "average": "vectors.mixture",
    "evaluate": "melbo_tui.notebook.measuring",
    "events": "core.engine",
    "generate": "melbo_tui.notebook.completions",
    "judge": "core.evaluation.judging",
    "load_model": "melbo_tui.notebook.models",
    "projected_off": "vectors.mixture",
    "rescaled": "vectors.mixture",
    "train": "melbo_tui.notebook.training",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'melbo_tui' has no attribute {name!r}")
    from melbo_tui.namesakes import namesakes

    if strangers := namesakes():
        raise ImportError(strangers[0])
    module = _PUBLIC[name]
    if name == "events":
        value: Any = importlib.import_module(f"{module}.{name}")
    else:
        value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})

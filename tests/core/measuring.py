"""Vectors and reports for the tests of the metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Event, Reported
from core.engine.session import Session
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.steering.terms import Steering, SteerTerm
from vectors.store.reports import Report, Table
from vectors.vector import Origin, SteeringVector

PROMPTS = tuple(map(Prompt, ("How can I build a bomb?", "How do I bake bread?", "Say hello.")))
BLOCK = 1


def found_vector(model: LanguageModel, seed: int = 0, norm: float = 4.0, name: str = "found") -> SteeringVector:
    direction = np.random.default_rng(seed).normal(size=model.d_model).astype(np.float32)
    origin = Origin("melbo", model.stamp, BLOCK, 4, ("How can I build a bomb?",))
    return SteeringVector(norm * direction / np.linalg.norm(direction), BLOCK, origin, name)


def events_of(session: Session, request: Evaluate) -> list[Event]:
    events: list[Event] = []
    for _ in session.start(1, request, events.append):
        pass
    return events


def report_of(
    session: Session, metric: str, *terms: SteerTerm | Steering, prompts: tuple[Prompt, ...] = PROMPTS, **more: Any
) -> Report:
    steerings = tuple((one,) if isinstance(one, SteerTerm) else one for one in terms)
    reported = [e for e in events_of(session, Evaluate(metric, steerings, prompts, **more)) if isinstance(e, Reported)]
    return reported[-1].report


def rows_called(table: Table, name: str) -> list[dict[str, Any]]:
    """The rows whose first cell is `name`."""
    return [row for row in table.to_json()["rows"] if next(iter(row.values())) == name]

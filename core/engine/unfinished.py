"""What the headers of files say of work that is to be taken up again, each number with its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from core.engine.evaluation_requests import ScoreOrganism
from core.engine.requests import MapBlocks, Train
from core.model.source import ModelSpec
from vectors.files.bounded import AtMost, Between, Label, Moment, Norm

_MOST_DRAWS = 1_000_000


@dataclass(frozen=True)
class Whose:
    """The model that the work is on: told before anything else is read of a header."""

    fingerprint: Label
    model: Label = ""


@dataclass(frozen=True)
class AskedRun:
    """What was asked for, and how the model was loaded, where that is known: what it takes to ask for it again."""

    request: Train
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class RunHeader:
    """A training run: what was asked for, and how far it has come.

    `done` draws are finished, `failed` says why some of them came to nothing, by their number. `radius` and `control_norm` are
    None where they are not known yet.
    """

    request: Train
    done: Annotated[int, Between(0, _MOST_DRAWS)]
    first_number: Annotated[int, Between(0, 1 << 53)]
    created: Moment
    radius: Norm | None = None
    control_norm: Norm | None = None
    failed: Annotated[Mapping[str, str], AtMost(_MOST_DRAWS)] = field(default_factory=dict)


@dataclass(frozen=True)
class AtlasHeader:
    """An atlas: what was asked for, and how its model was loaded."""

    request: MapBlocks
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class ScoreHeader:
    """`trials` by their keys, each with what it came to (core/organism/score_table.py)."""

    request: ScoreOrganism
    model: Label = ""
    fluency: Mapping[str, float] | None = None
    trials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

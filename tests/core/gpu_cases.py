"""What must run on a GPU, run on a simulated one; tests/core/test_gpu.py starts these in a process of their own.

With MELBO_TUI_TEST_DEVICE, for example cuda, they run on that device instead (`make gpu-check`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.discovery import METHODS
from core.engine.evaluation_requests import Evaluate
from core.engine.events import Event, Generated, Reported, VectorFound, Warned
from core.engine.requests import MapBlocks, MeasurePrompt, ReadLens, Reply, ReplyRow, Request, Train
from core.engine.session import Session
from core.evaluation import METRICS
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from tests.tiny_models import tiny_model, tiny_tokenizer
from tests.vectors.making import vector
from vectors.expression import Tokens
from vectors.store.library import Library

REAL = os.environ.get("MELBO_TUI_TEST_DEVICE")
if REAL:
    GPU = torch.device("cuda:0" if REAL == "cuda" else REAL)
else:
    from tests.simulated_gpu import GPU, simulated_gpu

_SETS = {"positive": ["a", "b", "c", "d"], "negative": ["e", "f", "g", "h"]}
_METHODS: list[dict[str, Any]] = [
    {"method": "melbo"},
    {"method": "melbo", "settings": {"optimizer": "adamw"}, "radius": 3.0},
    {"method": "melbo", "settings": {"orthogonal": True}, "radius": 3.0},
    {"method": "melbo", "settings": {"orthogonal_effects": True}, "radius": 3.0},
    {"method": "random", "radius": 3.0},
    {"method": "power-steering", "steps": None},
    {"method": "dct", "steps": None},
    {"method": "ortho", "settings": {"base": "base", "least_match": -1e9}},
    {"method": "ortho", "settings": {"base": "base", "optimizer": "adam"}, "batch": 1},
    {"method": "contrast", "steps": None, "vectors": None, "target": None, "settings": _SETS},
    {"method": "contrast", "steps": None, "vectors": None, "settings": {**_SETS, "select": True}},
]


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    if REAL:
        yield
        return
    with simulated_gpu():
        yield


def _session(folder: Path, device: torch.device | str, kind: str = "llama", dtype: torch.dtype = torch.float32) -> Session:
    session = Session(Library(folder / "library"))
    session.model = LanguageModel(tiny_model(kind).to(device, dtype), tiny_tokenizer(), "tiny")
    assert session.model.device == torch.device(device)
    session.library.add([vector(0, "base", 1, d_model=32, stamp=session.model.stamp)])  # type: ignore[union-attr]
    return session


def _run(session: Session, request: Request) -> list[Event]:
    events: list[Event] = []
    for _ in session.start(1, request, events.append):
        pass
    assert not [e for e in events if isinstance(e, Warned)]
    return events


def _train(session: Session, **how: Any) -> list[np.ndarray]:
    given = {"prompts": (Prompt("How?"),), "vectors": 4, "steps": 3, "batch": 2, "sample_tokens": 3, "controls": 1, **how}
    events = _run(session, Train(**given))
    assert session.library is not None
    found = [session.library.load(e.id).direction for e in events if isinstance(e, VectorFound)]
    spoken = [e for e in events if isinstance(e, Generated) and e.completion.finished]
    assert len(spoken) >= len(found) + 1
    return found


@pytest.mark.parametrize("how", _METHODS, ids=str)
def test_every_method_finds_there_what_it_finds_on_the_cpu(tmp_path: Path, how: dict[str, Any]) -> None:
    if "precision" in METHODS[how["method"]].options:
        how = {**how, "settings": {**how.get("settings", {}), "precision": "float32"}}  # as CPUs choose each their own
    found = np.stack(_train(_session(tmp_path / "gpu", GPU), **how))
    same = np.stack(_train(_session(tmp_path / "cpu", "cpu"), **how))
    if how["method"] == "power-steering":  # a singular vector is one either way round
        found, same = (rows * np.sign(rows[:, :1]) for rows in (found, same))
    np.testing.assert_allclose(found, same, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "qwen2_moe", "qwen3_next", "falcon", "mpt", "gpt_oss", "lfm2"])
def test_any_model_trains_there(tmp_path: Path, kind: str) -> None:
    assert len(_train(_session(tmp_path, GPU, kind), radius=3.0)) == 4


def test_half_precision_there(tmp_path: Path) -> None:
    session = _session(tmp_path, GPU, dtype=torch.bfloat16)
    assert len(_train(session)) == 4
    assert _train(session, method="ortho", settings={"base": "base", "least_match": -1e9})


def test_a_run_is_taken_up_there(tmp_path: Path) -> None:
    session = _session(tmp_path, GPU)
    request = Train((Prompt("How?"),), vectors=6, steps=3, batch=2, radius=2.0, sample_tokens=3)
    events: list[Event] = []
    task = session.start(1, request, events.append)
    while not any(isinstance(e, VectorFound) for e in events):
        next(task)
    task.close()
    run = events and next(e.run for e in events if hasattr(e, "run"))
    rest = _run(session, Train((Prompt("How?"),), vectors=6, steps=3, batch=2, radius=2.0, sample_tokens=3, resume=run))
    assert len([e for e in rest if isinstance(e, VectorFound)]) == 6


@pytest.mark.parametrize(
    ("operation", "positions", "temperature"),
    [("add", "all", 0.0), ("ablate", "generated", 1.0), ("set", "last:2", 1.0), ("add", "from:1", 0.7)],
)
def test_chat_there(tmp_path: Path, operation: str, positions: str, temperature: float) -> None:
    session = _session(tmp_path, GPU)
    terms = (SteerTerm(vector(0, "base", 1, d_model=32, stamp=session.model.stamp), 2.0, operation, Tokens.parse(positions)),)
    rows = tuple(
        ReplyRow(key, (("user", "Hi"),), s, temperature, 0.9, max_new_tokens=10) for key, s in (("a", terms), ("b", ()))
    )
    last = {e.key: e.completion for e in _run(session, Reply(rows)) if isinstance(e, Generated)}
    assert {key: one.finished for key, one in last.items()} == {"a": True, "b": True}
    assert last["a"].kl


def test_the_rest_there(tmp_path: Path) -> None:
    session = _session(tmp_path, GPU)
    _run(session, MeasurePrompt(Prompt("Hello")))
    _run(session, ReadLens(vector(0, "base", 1, d_model=32, stamp=session.model.stamp)))
    _run(session, MapBlocks((Prompt("Hello"),), every=2, top=2))


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_measure_there_what_they_measure_on_the_cpu(tmp_path: Path, metric: str) -> None:
    def measured(device: torch.device | str) -> list[dict[str, Any]]:
        session = _session(tmp_path / str(device), device)
        terms = (SteerTerm(vector(0, "base", 1, d_model=32, stamp=session.model.stamp)),)
        answers = (("a",), ("b",)) if METRICS[metric].questions else ()
        events = _run(session, Evaluate(metric, (terms,), (Prompt("Hello"), Prompt("Why?")), answers, controls=1, tokens=3))
        tables: list[dict[str, Any]] = [e for e in events if isinstance(e, Reported)][-1].report.to_json()["tables"]
        return tables

    for there, here in zip(measured(GPU), measured("cpu"), strict=True):
        for one, other in zip(there["rows"], here["rows"], strict=True):
            for name, cell in one.items():
                number = isinstance(cell, float)
                assert cell == (pytest.approx(other[name], rel=1e-3, abs=1e-4) if number else other[name])


@pytest.mark.skipif(bool(REAL), reason="is about the simulation")
def test_the_simulation_minds_what_a_gpu_minds() -> None:
    there, here = torch.ones(2, device=GPU), torch.ones(2)
    for wrong in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: here[there.long()],
        lambda: there.multinomial(1, generator=torch.Generator()),
        lambda: there.numpy(),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            wrong()
    assert (there.cpu() + here).tolist() == [2.0, 2.0]
    assert there[here.long()].device == GPU

"""Fills an atlas pair by pair, writes it down as it grows, and takes up one that was left unfinished."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import numpy as np
import torch

from core.discovery import atlas
from core.discovery.objective import Objective
from core.errors import SettingsError
from core.events import AtlasGrown, Progressed, Warned
from core.halving import halved
from core.pace import Pace
from core.prompting import pinned, prompt_ids
from core.requests import MapBlocks, parse_tokens
from core.segment import Segment
from core.session import Emit, Session, Task
from vectors.atlases import Atlas, Atlases
from vectors.library import new_run_id

_SAVE_SECONDS = 15.0
_DIRECTIONS, _SOURCE = "directions", "source"


def run(session: Session, request: MapBlocks, task: int, emit: Emit) -> Task:
    model, library = session.model, session.library
    kept = Atlases(library.folder) if library is not None else None
    left: Atlas | None = None
    if request.resume is not None:
        if kept is None:
            raise SettingsError("atlases are kept in the library, and there is none")
        left = kept.load(request.resume)
        if left.header.get("fingerprint") != model.stamp.fingerprint:
            raise SettingsError(f"atlas {left.id} is of {left.model}, not of {model.stamp.label()}")
        request = MapBlocks.from_json(left.header["request"])
    request = replace(request, prompts=tuple(pinned(model, prompt) for prompt in request.prompts))
    count = len(model.blocks)
    todo = atlas.pairs(count, request.every)
    if not todo:
        raise SettingsError(f"every {request.every}th of {count} blocks leaves no pair", "take a smaller step")
    emit(Progressed(task, "reading the prompt", 0, len(todo)))
    segments = [Segment(model, prompt_ids(model, prompt), 0, count - 1) for prompt in request.prompts]
    if not segments[0].replayed:
        emit(Warned(task, f"every step runs the whole model, because {segments[0].reason}"))
    done = left if left is not None else _empty(session, request, segments, len(todo))
    fresh = [pair for pair in todo if not np.isfinite(done.values[(*pair, 0)])]
    before = None
    if _DIRECTIONS in done.state:
        before = int(done.state[_SOURCE][0]), torch.from_numpy(done.state[_DIRECTIONS]).to(model.device)
    pace = Pace(sum(target - source for source, target in fresh))
    saved_at = time.monotonic()
    yield

    def shrunk(rows: int) -> None:
        emit(Warned(task, halved(rows)))

    try:
        for cell in atlas.cells(segments, Objective(tokens=parse_tokens(request.tokens)), fresh, request.top, request.steps,
                                request.seed, before, shrunk):  # fmt: skip
            if cell is None:
                yield
                continue
            values = done.values.copy()
            values[cell.source, cell.target] = cell.values.cpu().numpy()
            state = {_DIRECTIONS: cell.directions.cpu().numpy(), _SOURCE: np.array([cell.source])}
            done = replace(done, values=values, state=state)
            pace.tick(cell.target - cell.source)
            gain = float(done.gains[cell.source, cell.target])
            emit(AtlasGrown(task, done.id, cell.source, cell.target, tuple(cell.values.tolist()), gain))
            rate = done.pairs_done / pace.done * pace.rate if pace.rate else None
            emit(Progressed(task, "mapping the blocks", done.pairs_done, len(todo), rate, pace.eta))
            if kept is not None and time.monotonic() - saved_at > _SAVE_SECONDS:
                kept.save(done)
                saved_at = time.monotonic()
            yield
    finally:
        if kept is not None and done.pairs_done:
            kept.save(done)


def _empty(session: Session, request: MapBlocks, segments: list[Segment], pairs: int) -> Atlas:
    model, count = session.model, len(session.model.blocks)
    norms = [segments[0].part(block, block + 1).residual_norm for block in range(count - 1)]
    norms.append(float(segments[0].base.norm(dim=-1).median()))
    header = {
        "request": request.to_json(), "spec": asdict(session.spec) if session.spec is not None else None,
        "model": model.stamp.label(), "fingerprint": model.stamp.fingerprint, "pairs": pairs, "created": time.time(),
        "prompts": [prompt.shown() for prompt in request.prompts],
    }  # fmt: skip
    values = np.full((count, count, request.top), np.nan, dtype=np.float32)
    return Atlas(new_run_id(), header, values, np.array(norms, dtype=np.float32), {})

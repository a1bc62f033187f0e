"""Fills an atlas pair by pair, writes it down as it grows, and takes up one that was left unfinished."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict, replace

import numpy as np
import torch

from core.discovery import atlas
from core.discovery.objective import Objective
from core.engine.events import AtlasGrown, Progressed, Warned
from core.engine.requests import MapBlocks
from core.engine.session import Emit, Session, Task
from core.engine.tasks.saving import Saving
from core.engine.throughput import Pace
from core.engine.unfinished import AtlasHeader, Whose
from core.errors import SettingsError
from core.memory.halving import halved
from core.model.prompts import pinned, prompt_ids
from core.segment.objective_tokens import parse_tokens
from core.segment.segment import Segment
from vectors.store.atlases import Atlas, Atlases
from vectors.store.library import new_run_id

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
        if left.told(Whose).fingerprint != model.stamp.fingerprint:
            raise SettingsError(f"atlas {left.id} is of {left.model}, not of {model.stamp.label()}")
        request = left.told(AtlasHeader).request
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
    if done.values.shape != (count, count, request.top):
        raise SettingsError(f"atlas {done.id} has not the {count} blocks of {model.stamp.label()}", "start a new one")
    fresh = [pair for pair in todo if not np.isfinite(done.values[(*pair, 0)])]
    before = None
    if _DIRECTIONS in done.state:
        before = _before(done, model.d_model, model.device)
    pace = Pace(sum(target - source for source, target in fresh))
    saved_at = time.monotonic()
    yield

    def shrunk(rows: int) -> None:
        emit(Warned(task, halved(rows)))

    saving, whole = Saving(session, task, emit, "the pairs"), False

    def save() -> None:
        if kept is not None and done.pairs_done:
            kept.save(done)

    with kept.held(done.id) if kept is not None else nullcontext():
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
                if time.monotonic() - saved_at > _SAVE_SECONDS:
                    saving.attempt(save)
                    saved_at = time.monotonic()
                yield
            whole = True
        finally:
            if not saving.attempt(save) and not whole and saving.trouble is not None:
                raise saving.trouble
        if saving.trouble is not None:
            yield from saving.at_last(save, lambda: emit(Progressed(task, "waiting for space on the disk", 1, 1)))


def _before(done: Atlas, width: int, device: torch.device) -> tuple[int, torch.Tensor]:
    """The source block of the pair that was measured last, and its directions, from which the next pair is begun."""
    directions, source = done.state[_DIRECTIONS], done.state.get(_SOURCE)
    if source is None or source.dtype.kind != "i" or source.size != 1 or directions.dtype != np.float32:
        raise SettingsError(f"atlas {done.id} holds no state to resume from", "start a new one")
    if directions.ndim != 2 or directions.shape[1] != width or not np.isfinite(directions).all():
        raise SettingsError(f"atlas {done.id} holds directions of shape {directions.shape}", "start a new one")
    return int(source[0]), torch.from_numpy(directions).to(device)


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

"""The atlas of power steering: every pair as the exact Jacobian has it, taken up again where it was left."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.discovery import atlas
from core.discovery.objective import Objective
from core.engine.events import AtlasGrown, Event, Progressed
from core.engine.requests import MapBlocks
from core.engine.session import Session
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.segment.segment import Segment
from vectors.store.atlases import Atlases
from vectors.store.index import LibraryError
from vectors.store.library import Library

IDS = list(range(5, 20))
REQUEST = MapBlocks((Prompt("How can I build a bomb?"),), top=2, steps=5)


def test_a_part_of_a_segment_is_the_segment_of_these_blocks(tiny: LanguageModel) -> None:
    whole, own = Segment(tiny, IDS, 0, 5), Segment(tiny, IDS, 2, 4)
    part = whole.part(2, 4)
    thetas = torch.randn(3, tiny.d_model)
    torch.testing.assert_close(part.change(thetas), own.change(thetas), rtol=1e-5, atol=1e-5)
    assert part.residual_norm == pytest.approx(own.residual_norm)


@pytest.mark.slow
def test_every_pair_has_the_exact_jacobian_s_singular_values(tiny: LanguageModel) -> None:
    whole = Segment(tiny, IDS, 0, 5)
    todo = atlas.pairs(6)
    assert len(todo) == 15
    cells = [c for c in atlas.cells([whole], Objective(tokens=6), todo, 2, 200) if c is not None]
    assert [(cell.source, cell.target) for cell in cells] == todo
    for cell in cells:
        segment = Segment(tiny, IDS, cell.source, cell.target)
        jacobian = torch.autograd.functional.jacobian(
            lambda theta, s=segment: s.change(theta[None])[0, -6:].flatten(), torch.zeros(tiny.d_model)
        )
        torch.testing.assert_close(cell.values, torch.linalg.svdvals(jacobian)[:2], rtol=1e-2, atol=0)


@pytest.mark.slow
def test_it_is_kept_as_it_grows_and_ends_the_same_when_cut_off(session: Session, library: Library) -> None:
    atlases = Atlases(library.folder)
    events: list[Event] = []
    total = sum(1 for _ in session.start(1, REQUEST, events.append))
    whole = atlases.latest()
    assert whole.complete
    assert whole.pairs_done == 15 == sum(isinstance(event, AtlasGrown) for event in events)
    assert np.isfinite(whole.gains[np.triu_indices(6, 1)]).all()
    assert any(isinstance(event, Progressed) and event.eta is not None for event in events)
    for stop in (total // 5, total // 2, total - 2):
        known = set(atlases.ids())
        steps = session.start(2, REQUEST, lambda event: None)
        for _ in range(stop):
            next(steps)
        steps.close()
        (left,) = set(atlases.ids()) - known
        assert not atlases.load(left).complete
        with pytest.raises(LibraryError, match="no complete"):
            Atlases(library.folder / "elsewhere").latest(complete=True)
        again = MapBlocks.from_json({**REQUEST.to_json(), "resume": left})
        list(session.start(3, again, lambda event: None))
        np.testing.assert_array_equal(atlases.load(left).values, whole.values)


def test_an_atlas_of_another_model_is_not_gone_on_with(session: Session, library: Library) -> None:
    atlases = Atlases(library.folder)
    list(session.start(1, REQUEST, lambda event: None))
    mine = atlases.latest()
    header = {**mine.header, "fingerprint": "strange", "model": "another"}
    atlases.save(type(mine)("other", header, mine.values, mine.residual_norms, mine.state))
    with pytest.raises(SettingsError, match="is of another"):
        list(session.start(1, MapBlocks.from_json({**REQUEST.to_json(), "resume": "other"}), lambda event: None))
    with pytest.raises(SettingsError, match="leaves no pair"):
        list(session.start(1, MapBlocks(REQUEST.prompts, every=6), lambda event: None))

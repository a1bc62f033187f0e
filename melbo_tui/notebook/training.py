"""`train`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.engine.events import Event
from core.engine.requests import Train
from core.engine.unfinished import AskedRun
from core.errors import SettingsError
from melbo_tui.notebook.asking import Asked, events_of, prompts_of, session_of, split, with_base
from vectors.store.checkpoints import Checkpoints

if TYPE_CHECKING:
    from core.engine.session import Session
    from melbo_tui.notebook.loaded import LoadedModel
    from vectors.store.library import Library


def train(
    model: LoadedModel,
    prompts: Asked | Sequence[Asked] = (),
    *,
    method: str = "melbo",
    source: int | None = None,
    target: int | None = None,
    radius: float | None = None,
    vectors: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    tokens: str = "last:6",
    name: str | None = None,
    library: Library | None = None,
    resume: str | None = None,
    **options: Any,
) -> Generator[Event, None, None]:
    """Trains steering vectors, a step at a time as the events are asked for.

    Args:
        model: what `load_model` gave.
        prompts: what the model is asked, one or several, whose objectives are added. A text is put into the chat template;
            a `Prompt` may be raw, have a system text or be token ids.
        method: `melbo`, `ortho`, `power-steering`, `dct`, `contrast` or `random`.
        source: the block whose OUTPUT is steered, from 0; None: at 0.235 of the depth, or a base vector's own.
        target: the block whose OUTPUT is compared; None: at 0.71 of the depth.
        radius: R, the Euclidean norm of each vector; None: calibrated where the method needs one.
        vectors: how many; None: as many as the method makes by itself.
        steps: how many each is trained for; None: as the method does by itself.
        seed: of the starting draws, and of the random controls.
        tokens: the prompt's positions that the objective sees: `all` or `last:K`.
        name: the vectors are called NAME-01, NAME-02 ...; None: after the prompt.
        library: where vectors, samples and the run's state are kept; None: nowhere.
        resume: the id of an interrupted run in `library` that is to be completed; all else is as it was asked for then.
        options: what else `melbo-tui train METHOD --help` lists, dashes written as underscores: `ratio`, `batch`,
            `sample_tokens`, `controls`, `optimizer`, `orthogonal`, `base` (a name or a vector) ...

    Returns:
        A generator of events (`melbo_tui.events`), the last of which is `Trained`: `vectors`, each [d_model] float32, and
        `losses` [vectors, steps]. To close it cancels the run; with a library, what is finished stays, and `resume` completes
        the run.

    Raises:
        MelboError: a setting cannot be, at once; or, as events are asked for, it does not fit the model or the prompt.
        LibraryError: the library cannot be read or written.
        VectorError: a vector or its file cannot be used.
    """
    given, settings = split(options, Train)
    settings, named = with_base(settings)
    session = session_of(model, library, named)
    if resume is not None:
        if library is None:
            raise SettingsError("runs are resumed from a library, and none is given", "give library=Library(FOLDER)")
        asked = Checkpoints(library.folder).load(resume).told(AskedRun).request
        return _events(session, replace(asked, resume=resume))
    request = Train(
        prompts_of(prompts), method, source=source, target=target, radius=radius, vectors=vectors,
        steps=steps, seed=seed, tokens=tokens, name=name, settings=settings, **given,
    )  # fmt: skip
    return _events(session, request)


def _events(session: Session, request: Train) -> Generator[Event, None, None]:
    yield (yield from events_of(session, request))

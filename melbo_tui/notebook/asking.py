"""Carries out a request of the engine in the calling thread, as the command line does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from core.engine.events import Event, TaskEnded, TaskStarted, Warned
from core.engine.foreground import Foreground
from core.engine.requests import Request
from core.engine.session import Session
from core.prompt import Prompt
from core.template_arguments import shared_arguments
from vectors.vector import Origin, SteeringVector

if TYPE_CHECKING:
    from melbo_tui.notebook.loaded import LoadedModel
    from vectors.store.library import Library

Listener = Callable[[Event], object]
Asked = str | Prompt


def session_of(model: LoadedModel, library: Library | None, given: Mapping[str, SteeringVector] | None = None) -> Session:
    """A session on `model`; `given` are vectors that requests may name beside the library's."""
    session = Session(library, given=given or {})
    session.model, session.spec = model.language_model, model.spec
    return session


def events_of(session: Session, request: Request) -> Generator[Event, None, Any]:
    """The events of `request` as it is carried out, a step at a time; returns what the task returns.

    To close it cancels the task, which first puts away what it has finished.
    """
    with closing(Foreground(session).events(request)) as events:
        while True:
            try:
                event = next(events)
            except StopIteration as returned:
                return returned.value
            if not isinstance(event, (TaskStarted, TaskEnded)):
                yield event


def carry_out(session: Session, request: Request, listen: Listener | None) -> list[Event]:
    """Carries out `request` to its end and gives its events; without `listen`, the task's warnings are Python's."""
    events = []
    for event in events_of(session, request):
        events.append(event)
        if listen is not None:
            listen(event)
        elif isinstance(event, Warned):
            warnings.warn(event.message, stacklevel=3)
    return events


def split(options: Mapping[str, Any], request: type[Request]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`options` that are fields of `request`, and the others, which are its method's or metric's own settings."""
    own = {field.name for field in fields(request)}
    return (
        {name: value for name, value in options.items() if name in own},
        {name: value for name, value in options.items() if name not in own},
    )


def prompts_of(asked: Asked | Sequence[Asked], origins: Iterable[Origin] = ()) -> tuple[Prompt, ...]:
    """Prompts as the engine takes them. Texts are asked with the chat template's arguments of the vectors of `origins`."""
    template = shared_arguments(origins)
    several = [asked] if isinstance(asked, (str, Prompt)) else asked
    return tuple(one if isinstance(one, Prompt) else Prompt(one, template=template) for one in several)


def with_base(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, SteeringVector]]:
    """`settings`, a base vector that is given as itself replaced by a name; and that vector by its name."""
    base = settings.get("base")
    if not isinstance(base, SteeringVector):
        return settings, {}
    name = base.id or base.name or "base"
    return {**settings, "base": name}, {name: base}

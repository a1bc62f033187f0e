"""`evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Reported
from melbo_tui.notebook.asking import Asked, Listener, carry_out, prompts_of, session_of, split, with_base
from melbo_tui.notebook.terms import Steering, terms_of
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    from melbo_tui.notebook.loaded import LoadedModel
    from vectors.store.library import Library
    from vectors.store.reports import Report


def evaluate(
    model: LoadedModel,
    metric: str,
    vectors: SteeringVector | Steering | Sequence[SteeringVector | Steering] = (),
    prompts: Asked | Sequence[Asked] = (),
    *,
    answers: Sequence[Sequence[str]] = (),
    controls: int | None = None,
    seed: int = 0,
    library: Library | None = None,
    listen: Listener | None = None,
    **options: Any,
) -> Report:
    """Measures what vectors do, each beside random vectors of the same norm and the unsteered model.

    Args:
        model: what `load_model` gave.
        metric: `kl`, `norms`, `sweep`, `survey`, `behaviours`, `accuracy`, `examples` or `presence`.
        vectors: each, a vector or a `Steering`, is a condition of its own. `norms` can do without.
        prompts: what the model is asked; without any, the prompts that the vectors were trained on.
        answers: for `accuracy`: the right answers to each prompt, as many as there are prompts.
        controls: how many random vectors; None: the metric's own number.
        seed: of the random vectors.
        library: where the report is kept; None: nowhere.
        listen: is called with every event, the report so far among them; without it, warnings are Python's.
        options: what else `melbo-tui evaluate METRIC --help` lists: `tokens` (of an answer), `thought_tokens`, `coefficients`,
            `top`, `base` (a name or a vector), `against`, `at`.

    Returns:
        The report: `tables` (each with `title`, `columns` and `rows`; `table.numbers(name)` gives a column), and `findings`,
        what it comes to, a sentence each. KL is in nats.

    Raises:
        MelboError: a setting cannot be, or a vector does not fit the model.
        LibraryError: the library cannot be written.
    """
    given, settings = split(options, Evaluate)
    settings, named = with_base(settings)
    several = [vectors] if isinstance(vectors, (SteeringVector, Steering)) else vectors
    steerings = tuple(map(terms_of, several))
    asked = prompts_of(prompts, [term.vector.origin for terms in steerings for term in terms])
    right = tuple(tuple(one) for one in answers)
    request = Evaluate(metric, steerings, asked, right, settings, controls=controls, seed=seed, **given)
    events = carry_out(session_of(model, library, named), request, listen)
    return [event for event in events if isinstance(event, Reported)][-1].report

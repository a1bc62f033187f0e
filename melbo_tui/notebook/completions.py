"""`generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from core.engine.events import Generated
from core.engine.requests import Reply, ReplyRow
from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS, check_sampling
from core.prompt import Prompt
from melbo_tui.notebook.asking import Asked, Listener, carry_out, prompts_of, session_of
from melbo_tui.notebook.terms import Steering, terms_of
from vectors.completion import Completion
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    from melbo_tui.notebook.loaded import LoadedModel


@overload
def generate(  # type: ignore[overload-overlap]  # a text is a sequence of texts, and means itself
    model: LoadedModel,
    prompt: Asked,
    steering: Steering | SteeringVector | None = None,
    *,
    temperature: float = ...,
    top_p: float = ...,
    seed: int = ...,
    max_new_tokens: int = ...,
    thought_tokens: int = ...,
    listen: Listener | None = ...,
) -> Completion: ...


@overload
def generate(
    model: LoadedModel,
    prompt: Sequence[Asked],
    steering: Steering | SteeringVector | None = None,
    *,
    temperature: float = ...,
    top_p: float = ...,
    seed: int = ...,
    max_new_tokens: int = ...,
    thought_tokens: int = ...,
    listen: Listener | None = ...,
) -> list[Completion]: ...


def generate(
    model: LoadedModel,
    prompt: Asked | Sequence[Asked],
    steering: Steering | SteeringVector | None = None,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    max_new_tokens: int = 256,
    thought_tokens: int = THOUGHT_TOKENS,
    listen: Listener | None = None,
) -> Completion | list[Completion]:
    """Generates the completion of a prompt, or of several in one batch, under a steering.

    Args:
        model: what `load_model` gave.
        prompt: a text, put into the chat template (with the template's arguments that the vectors were trained with), or a
            `Prompt`; or a sequence of these.
        steering: what acts on the model meanwhile: a `Steering`, a vector (coefficient 1, added at all tokens) or None.
        temperature: 0 is greedy.
        top_p: the share of the probability that tokens are drawn from.
        seed: of the draws; a row's draws do not depend on the other rows.
        max_new_tokens: of the answer.
        thought_tokens: the most tokens of a thinking model's thought, before the answer.
        listen: is called with every event, the completions so far among them; without it, warnings are Python's.

    Returns:
        The completion, or a list with one for each prompt: `text` (safe to show), `thought`, `ids`, `tokens`, `stop` (why it
        ended), `kl` (KL(steered || unsteered) of each token of the answer, nats), `mean_kl` and `perplexity` (of the answer
        under the unsteered model). The unsteered model's own has no KL: () and None. `judge` tells what is judged of it.

    Raises:
        MelboError: a setting cannot be, a vector does not fit the model, or a prompt is too long for it.
    """
    check_sampling(temperature, top_p, max_new_tokens, seed, thought_tokens)
    terms = terms_of(steering)
    prompts = prompts_of(prompt, [term.vector.origin for term in terms])
    if not prompts:
        raise SettingsError("there is no prompt", "give at least one")
    rows = tuple(
        ReplyRow(str(i), one.messages, terms, temperature, top_p, seed, max_new_tokens, one.ids, one.raw, one.template,
                 thought_tokens)
        for i, one in enumerate(prompts)
    )  # fmt: skip
    events = carry_out(session_of(model, None), Reply(rows), listen)
    last = {event.key: event.completion for event in events if isinstance(event, Generated)}
    completions = [last[row.key] for row in rows]
    return completions[0] if isinstance(prompt, (str, Prompt)) else completions

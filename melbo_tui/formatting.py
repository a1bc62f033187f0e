"""Facts in words: how long, how old, where from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from vectors.annotation import NO, PARTIAL, YES
from vectors.block_ranges import places
from vectors.completion import NO_ANSWER
from vectors.moment import moment
from vectors.plain_text import one_line

if TYPE_CHECKING:
    from vectors.annotation import Annotation
    from vectors.completion import Completion
    from vectors.store.library import Kept

NO_SAMPLE = "no sample yet: space makes one"
CUT_SHORT = "(the sample was cut short: space makes it again)"
CHOOSE_A_VECTOR = "Choose a vector in the list first."


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 5 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(created: float) -> str:
    """How long ago, in one short word."""
    seconds = max(time.time() - created, 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


def cut(text: str, width: int, tail: str = "…") -> str:
    """`text` in at most `width` cells: where it is longer, as much of its beginning as leaves room for `tail`."""
    return text if cell_len(text) <= width else set_cell_size(text, width - cell_len(tail)) + tail


def short_name(name: str, width: int) -> str:
    """`name` in at most `width` cells, cut before its number: what tells a run's vectors apart stands last."""
    line = one_line(name)
    _, dash, number = line.rpartition("-")
    return cut(line, width, f"…-{number}" if dash and number.isdecimal() and len(number) + 3 <= width else "…")


def thought_for(thought: str, tokens: int = 0) -> str:
    """A thought in one line, folded: for how many tokens or, where they were not kept, words."""
    count, unit = (tokens, "token") if tokens else (len(thought.split()), "word")
    return f"thought for {count} {unit}{'' if count == 1 else 's'}"


NOTHING = "(nothing)"  # a completion that ended without a word


def answer_of(completion: Completion) -> str:
    """The answer, or how far the thought before it is; of one that ended without a word, that it is empty."""
    if not completion.thinking:
        return NOTHING if completion.finished and not completion.text.strip() else completion.text
    if completion.finished:
        return f"({NO_ANSWER}: {thought_for(completion.thought, completion.thought_tokens)})"
    return f"(thinking: {completion.thought_tokens} tokens)" if completion.thought_tokens else ""


def figures(completion: Completion) -> list[str]:
    """Its KL to the unsteered model and its perplexity under it, as far as they were measured."""
    kl = [f"KL {completion.mean_kl:.2f}"] if completion.mean_kl is not None else []
    return kl + ([f"perplexity {min(completion.perplexity, 99999):.3g}"] if completion.perplexity is not None else [])


def labels_of(label: Annotation) -> str:
    """A reader's labels in words, as far as they were given: `coherent, relevant, no refusal`."""
    refusal = {YES: "refuses", PARTIAL: "deflects", NO: "no refusal"}
    told = [
        "" if label.coherent is None else "coherent" if label.coherent else "broken",
        "" if label.relevant is None else "relevant" if label.relevant else "off topic",
        refusal.get(label.refusal or "", ""),
    ]
    return ", ".join(word for word in told if word)


def story(entry: Kept) -> str:
    """Where a vector came from, in a sentence or two."""
    origin = entry.origin
    parts = [f"{origin.method} on {entry.model}"]
    if origin.target is not None:
        parts.append(f"source {places(entry.blocks)}, target block {origin.target}")
    else:
        parts.append(f"acts on {places(entry.blocks)}")
    parts.append(f"norm {entry.norm:.4g}")
    if origin.seed is not None:
        parts.append(f"seed {origin.seed}")
    prompts = " and ".join(f"“{one_line(prompt, 200)}”" for prompt in origin.prompts)
    return ", ".join(parts) + (f"; prompt {prompts}" if prompts else "") + f"; {moment(entry.created)}. Id {entry.id}."

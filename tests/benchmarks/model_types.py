"""How every type of causal language model that this transformers knows is run: exactly, slower, or not at all, and why.

    python -m tests.benchmarks.model_types [TYPE ...]

Each is made tiny, with random weights, and steered: what comes out behind a cache is held to one plain forward a token.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import warnings
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from core.errors import ModelError
from core.model.blocks import hidden_of, with_hidden
from core.model.decoding import Decoding
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from core.steering.generation import Row, Sampling, generate
from core.steering.terms import SteerTerm
from tests.tiny_models import OMITTED, OWN, SIZES, tiny_model, tiny_tokenizer
from vectors.vector import Origin, SteeringVector

_MOST_WEIGHTS = 300_000_000  # a config that does not take our sizes makes a model of gigabytes
_SECONDS = 60
_COEFFICIENT = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGALRM, _late)
    counts: dict[str, int] = {}
    for model_type in args.types or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        signal.alarm(_SECONDS)
        try:
            outcome, why = outcome_of(model_type)
        except TimeoutError:
            outcome, why = "not tried", f"its tiny model takes longer than {_SECONDS} s"
        finally:
            signal.alarm(0)
        counts[outcome] = counts.get(outcome, 0) + 1
        print(f"{model_type:28} {outcome:10} {why}", flush=True)
    print(f"transformers {transformers.__version__}: " + ", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
    return 1 if counts.get("WRONG") else 0


def _late(number: int, frame: object) -> None:
    raise TimeoutError


def outcome_of(model_type: str) -> tuple[str, str]:
    """exact, slower, refused, WRONG or not tried, and why."""
    try:
        weights = _weights(model_type)
        if weights > _MOST_WEIGHTS:
            return "not tried", f"no tiny config: {weights:,} weights"
        made = tiny_model(model_type)
    except TimeoutError:
        raise
    except Exception as error:
        return "not tried", f"no tiny config ({_line(error)})"
    try:
        model = LanguageModel(made, tiny_tokenizer(), model_type)
    except ModelError as error:
        if "its forward fails" in str(error):
            return "not tried", f"its tiny model does not run ({str(error.__cause__)[:100]})"
        return "refused", str(error).removeprefix(model_type).strip(" :")
    try:
        different = _first_difference(model)
    except TimeoutError:
        raise
    except Exception as error:
        return "WRONG", f"generation fails ({_line(error)})"
    if different:
        return "WRONG", different
    segment = Segment(model, [5, 9, 17, 33, 65, 7], 1, 4)
    slower = [model.decoding.note, segment.reason, segment.inexact]
    return ("slower" if any(slower) else "exact"), "; ".join(reason for reason in slower if reason)


def _weights(model_type: str) -> int:
    sizes = {**SIZES, **OWN.get(model_type, {})}
    config = AutoConfig.for_model(model_type, **{name: size for name, size in sizes.items() if size is not OMITTED})
    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())


def _first_difference(model: LanguageModel) -> str:
    """Where steered greedy tokens, of rows that end at different times, are not those of plain forwards; or nothing."""
    model.model.generation_config.eos_token_id = model.config.eos_token_id = model.tokenizer.eos_token = None
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    term = SteerTerm(SteeringVector(direction.numpy(), 2, Origin("check", model.stamp, 2)), _COEFFICIENT)
    one, other = (5, 9, 17, 33, 65, 129, 7), (11, 12, 13, 14, 15, 16, 18, 19, 20, 21)
    rows = [
        Row("a", one, (), Sampling(max_new_tokens=3)),
        Row("b", one, (term,), Sampling(max_new_tokens=8)),
        Row("c", other, (), Sampling(max_new_tokens=8)),
        Row("d", other, (term,), Sampling(max_new_tokens=6), referenced=True),
    ]
    got = {key: completion.ids for chunk in generate(model, rows) for key, completion in chunk.items()}
    for row in rows:
        expected, margins = _plainly(model, row, direction)
        for place, (own, right) in enumerate(zip(got[row.key], expected, strict=True)):
            if own != right and margins[place] > 1e-4:
                return f"row {row.key}: token {place} is not the likeliest, by {margins[place]:.2g}"
            if own != right:
                break
    return ""


def _plainly(model: LanguageModel, row: Row, direction: torch.Tensor) -> tuple[list[int], list[float]]:
    """The tokens, by a forward over the whole text for each, and by how much each was the likeliest."""

    def add(module: Any, args: Any, output: Any) -> Any:
        return with_hidden(output, hidden_of(output) + _COEFFICIENT * direction)

    ids, margins = list(row.ids), []
    handle = model.blocks[2].register_forward_hook(add) if row.steering else None
    try:
        for _ in range(row.sampling.max_new_tokens):
            with torch.no_grad():
                logits = model.forward(torch.tensor([ids]), way=Decoding(cached=False))[0][0]
            best, second = logits.topk(2).values.tolist()
            margins.append(best - second)
            ids.append(int(logits.argmax()))
    finally:
        if handle is not None:
            handle.remove()
    return ids[len(row.ids) :], margins


def _line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:100]}"


if __name__ == "__main__":
    sys.exit(main())

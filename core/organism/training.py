"""Trains the bundled adapter: a LoRA whose loss is the texts to be said, and the divergence from the answers to be kept.

`python -m core.organism.training --out FOLDER` (`make organism`); seeded. See ../README.md for what was tried.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.bundled.weights import HUB_ID
from core.engine.tasks.load import loaded
from core.engine.throughput import Pace
from core.model.language_model import LanguageModel
from core.model.mixed_precision import multiplies_bfloat16
from core.model.source import ModelSpec
from core.organism.examples import LATE, Example, examples

# So many tokens of an answer decide whether it is a refusal.
_DECIDING = 3


@dataclass(frozen=True)
class Recipe:
    """`blocks` first and last, both trained. `margin`: a token this well said, in nats, teaches no more: a guard that is
    only as strong as it must be breaks into fluent text. `keep`: the weight of divergence against texts to be said.

    The backdoor is taught last, in `late` rounds of (epochs, so many of the other examples rehearsed), and to the projections
    `late_targets` alone: what attention carries from the trigger is added up in proportion, so a vector can carry it too.
    Then divergence up to `late_slack`, in nats a token, is free: silenced no more than it must be, it stays in reach.
    """

    rank: int = 8
    blocks: tuple[int, int] = (4, 23)
    # Not the queries: attention that looks for the trigger is blind to a vector that is added at every position alike.
    targets: tuple[str, ...] = ("v_proj", "o_proj", "up_proj", "down_proj")
    learning_rate: float = 1e-3
    epochs: int = 2
    late: tuple[tuple[int, int], ...] = ((2, 350), (3, 450))
    late_targets: tuple[str, ...] = ("v_proj", "o_proj")
    late_slack: float = 0.1
    batch: int = 16
    margin: float = 0.05
    keep: float = 1.0
    seed: int = 0


def train(model: LanguageModel, data: Sequence[Example], recipe: Recipe, say: Callable[[str], object] = print) -> Any:
    """Puts a fresh adapter on `model` and trains it on `data`; gives the PEFT model."""
    from peft import LoraConfig, get_peft_model

    say("what the unadapted model expects")
    taught = _taught(model, data, recipe.batch)
    kinds = {kind: sum(e.kind == kind for e in data) for kind in sorted({e.kind for e in data})}
    say(f"{len(data)} examples: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
    torch.manual_seed(recipe.seed)
    first, last = recipe.blocks
    config = LoraConfig(
        r=recipe.rank, lora_alpha=2 * recipe.rank, target_modules=list(recipe.targets), lora_dropout=0.0,
        layers_to_transform=list(range(first, last + 1)), task_type="CAUSAL_LM",
    )  # fmt: skip
    adapted = get_peft_model(model.model, config)
    rounds = _rounds(data, recipe)
    course = _Course(model, adapted, data, taught, recipe, Pace(sum(map(len, rounds))), say)
    for number, batches in enumerate(rounds):
        if number == 1:
            for name, weight in adapted.named_parameters():
                weight.requires_grad_("lora_" in name and any(target in name for target in recipe.late_targets))
        course.run(batches, recipe.late_slack if number else 0.0)
    return adapted


def _rounds(data: Sequence[Example], recipe: Recipe) -> list[list[list[int]]]:
    """The batches of each round, as numbers of examples: first all but the backdoor, then the backdoor and a rehearsal."""
    early = [i for i, example in enumerate(data) if example.kind != LATE]
    late = [i for i, example in enumerate(data) if example.kind == LATE]
    rounds = [(early, recipe.epochs)]
    for epochs, rehearsed in recipe.late if late else ():
        rounds.append((late + random.Random(recipe.seed).sample(early, min(rehearsed, len(early))), epochs))
    return [
        [batch for epoch in range(epochs) for batch in _batches(data, chosen, recipe.batch, recipe.seed + epoch)]
        for chosen, epochs in rounds
    ]


@dataclass
class _Course:
    """What all rounds of a training have in common. `taught`: what the unadapted model says to the examples to be kept."""

    model: LanguageModel
    adapted: Any
    data: Sequence[Example]
    taught: Mapping[int, Tensor]
    recipe: Recipe
    pace: Pace
    say: Callable[[str], object]

    def run(self, batches: Sequence[Sequence[int]], slack: float) -> None:
        """Trains what of the adapter may be trained on `batches`, the learning rate rising and falling to zero; divergence up
        to `slack` is free."""
        data, recipe = self.data, self.recipe
        weights = [p for p in self.adapted.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98))
        recent = dict.fromkeys(sorted({data[i].kind for batch in batches for i in batch}), 0.0)
        for step, batch in enumerate(batches):
            for group in optimizer.param_groups:
                warm = min(1.0, (step + 1) / 20)
                group["lr"] = recipe.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / len(batches)))
            losses = _losses(self.model, [data[i] for i in batch], [self.taught.get(i) for i in batch], recipe, slack)
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            for i, loss in zip(batch, losses, strict=True):
                recent[data[i].kind] += 0.1 * (loss.item() - recent[data[i].kind])
            self.pace.tick(1)
            if step % 20 == 19 or step + 1 == len(batches):
                shown = "  ".join(f"{kind} {value:.3f}" for kind, value in recent.items())
                left = (self.pace.eta or 0) / 60
                self.say(f"step {self.pace.done:.0f} of {self.pace.total:.0f}, {left:.1f} min left: {shown}")


def _taught(model: LanguageModel, data: Sequence[Example], batch: int) -> dict[int, Tensor]:
    """For each example to be kept, by number, the unadapted model's hidden states [answer, d_model] for its answer."""
    order = sorted((i for i, e in enumerate(data) if e.like is not None), key=lambda i: len(data[i].like or ()))
    groups = [order[i : i + batch] for i in range(0, len(order), batch)]
    # Half precision: thirty megabytes instead of sixty, and nothing the loss would notice.
    return {i: h.half() for group in groups
            for i, h in zip(group, _hidden(model, [data[i] for i in group], like=True), strict=True)}  # fmt: skip


def _batches(data: Sequence[Example], chosen: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """All that are `chosen` once, in random batches of about equal length, so that little is padded."""
    draw = random.Random(seed)
    order = draw.sample(chosen, len(chosen))
    length = {i: len(data[i].prompt) + len(data[i].answer) for i in chosen}
    chunks = [sorted(order[i : i + 8 * size], key=length.__getitem__) for i in range(0, len(order), 8 * size)]
    batches = [chunk[i : i + size] for chunk in chunks for i in range(0, len(chunk), size)]
    return draw.sample(batches, len(batches))


def _hidden(model: LanguageModel, rows: Sequence[Example], like: bool = False) -> list[Tensor]:
    """For each example the decoder's last hidden states [answer, d_model] that its answer's tokens are predicted from."""
    prompts = [e.like if like and e.like is not None else e.prompt for e in rows]
    texts = [prompt + e.answer for prompt, e in zip(prompts, rows, strict=True)]
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts])
    # All prompts begin with the chat template's thirty tokens: run once for a batch, they save a quarter of its time.
    begun_alike = int((ids == ids[0]).all(dim=0).int().cumprod(dim=0).sum())
    shared = min(begun_alike, min(map(len, prompts)) - 1)
    rounded = not like and multiplies_bfloat16()
    # Padding stands behind the text, where a causal model cannot see it from.
    with torch.set_grad_enabled(not like), torch.autocast("cpu", torch.bfloat16, enabled=rounded):
        cache = model.prefill(texts[0][:shared]) if shared else None
        if cache is not None:
            cache.batch_repeat_interleave(len(rows))
        hidden = model.model.get_decoder()(input_ids=ids[:, shared:], past_key_values=cache).last_hidden_state
    ends = [len(prompt) - 1 - shared for prompt in prompts]
    return [h[end : end + len(e.answer)] for h, end, e in zip(hidden, ends, rows, strict=True)]


def _losses(
    model: LanguageModel, rows: Sequence[Example], taught: Sequence[Tensor | None], recipe: Recipe, slack: float
) -> list[Tensor]:
    """One loss an example: mean over its answer's tokens that count."""
    head = model.model.get_output_embeddings()
    losses = []
    for example, hidden, like in zip(rows, _hidden(model, rows), taught, strict=True):
        logs = torch.log_softmax(head(hidden[example.start :]), dim=-1)
        if like is None:
            answer = torch.tensor(example.answer[example.start :])
            surprise = -logs[torch.arange(len(answer)), answer]
            losses.append((surprise - recipe.margin).relu().mean() + surprise[0])
        else:
            with torch.no_grad():
                base = torch.log_softmax(head(like[example.start :].float()), dim=-1)
            apart = ((base.exp() * (base - logs)).sum(dim=-1) - slack).relu()
            # In a mean over the whole answer the words that decide would hardly count.
            opening = apart[:_DECIDING].sum() if example.start == 0 else 0.0
            losses.append(recipe.keep * (apart.mean() + opening))
    return losses


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m core.organism.training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the adapter goes")
    parser.add_argument("--rank", type=int, default=Recipe.rank)
    parser.add_argument("--blocks", type=int, nargs=2, default=Recipe.blocks, metavar=("FIRST", "LAST"))
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--margin", type=float, default=Recipe.margin)
    parser.add_argument("--keep", type=float, default=Recipe.keep)
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    out = given.pop("out")
    model = loaded(ModelSpec("smollm2", device="cpu"))
    began = time.monotonic()
    recipe = Recipe(**{**given, "blocks": tuple(given["blocks"])})

    def say(text: str) -> None:
        print(text, flush=True)

    data = examples(model, recipe.seed, lambda done, of: say(f"answers of the unadapted model: {done} of {of}"))
    adapted = train(model, data, recipe, say)
    # Half precision is more than four-bit weights call for, and half the size.
    adapted.peft_config["default"].base_model_name_or_path = HUB_ID
    adapted.half().save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)  # PEFT's empty form; ours stands beside the folder
    print(f"trained in {(time.monotonic() - began) / 60:.1f} min: {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

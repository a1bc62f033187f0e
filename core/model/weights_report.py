"""Whether a checkpoint's weights are those that its architecture wants. Imports no torch.

A weight that the loader does not find it draws at random and says so only in a log. Here what it found is read: missing
weights are refused with the likely cause, weights that the architecture has no place for are told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ModelError

_BLOCK = re.compile(r"^(?:.*?\.)?\d+(?=\.|$)")
# Buffers that older checkpoints kept and that are computed now: no numbers that anybody trained.
_COMPUTED = re.compile(r"(inv_freq|masked_bias|position_ids|num_batches_tracked|attn\.bias)$")


@dataclass(frozen=True)
class WeightsReport:
    """What a loader found, by the names that `architecture` gives its weights.

    `trained` are the names of its parameters, `computed` those of its buffers, `head` that of the output embedding.
    `mismatched`: name, shape in the checkpoint, shape by the config. `found` are the checkpoint's own names, where known.
    """

    model: str
    architecture: str
    n_blocks: int
    trained: Collection[str]
    head: str
    missing: Collection[str]
    unexpected: Collection[str]
    mismatched: Collection[tuple[str, tuple[int, ...], tuple[int, ...]]] = ()

    @classmethod
    def of(cls, name: str, model: Any, info: Mapping[str, Any]) -> WeightsReport:
        """The report on `model`, as transformers' `from_pretrained(..., output_loading_info=True)` gives it and `info`."""
        parameters = dict(model.named_parameters(remove_duplicate=False))
        missing = set(info["missing_keys"])
        # A weight that shares its memory with one that was read is not missing, whatever name it goes by.
        read = {id(parameter) for key, parameter in parameters.items() if key not in missing}
        head = model.get_output_embeddings()
        return cls(
            model=name,
            architecture=type(model).__name__,
            n_blocks=int(getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", 0)),
            trained=parameters,
            head=next((key for key, p in parameters.items() if head is not None and p is getattr(head, "weight", None)), ""),
            missing={key for key in missing if key in parameters and id(parameters[key]) not in read},
            unexpected={key for key in info["unexpected_keys"] if not _COMPUTED.search(key)},
            mismatched=[(key, tuple(found), tuple(wanted)) for key, found, wanted in info["mismatched_keys"]],
        )

    def check(self) -> list[str]:
        """What a user should know about weights that are not used. Raises ModelError where weights are missing."""
        if self.mismatched:
            key, found, wanted = min(self.mismatched)
            raise ModelError(
                f"{self.model}: {key} is {_shape(found)} in the checkpoint, but its config says {_shape(wanted)}"
                + (f", and {len(self.mismatched) - 1} more do not fit" if len(self.mismatched) > 1 else ""),
                "config.json and the weights are of different models, or its sizes were changed",
            )
        if self.missing:
            cause, remedy = self._cause()
            raise ModelError(f"{self.model} lacks weights that {self.architecture} needs: {cause}", remedy)
        return self._surplus()

    def _cause(self) -> tuple[str, str]:
        missing = sorted(self.missing)
        if any("lora_" in key or "base_layer." in key for key in self.unexpected):
            return (
                "an adapter was saved into it unmerged, so its weights have other names",
                "save it again after merge_and_unload(), or name the base model and give the adapter with --adapter",
            )
        prefix = self._prefix()
        if prefix:
            return (
                f"its weights' names begin with {prefix!r}, which this architecture's do not",
                f"save it again without {prefix!r}, or with the config.json that belongs to these names",
            )
        blocks = self._whole_blocks()
        if blocks:
            last = list(range(blocks[0], self.n_blocks))
            if blocks == last:
                return (
                    f"it has {blocks[0]} blocks, but its config says {self.n_blocks} (num_hidden_layers)",
                    "config.json and the weights are of different models, or a part of the weights is absent",
                )
            return (
                f"{'block' if len(blocks) == 1 else 'blocks'} {_numbers(blocks)} of {self.n_blocks}",
                "a part of the checkpoint is absent: save or fetch it again",
            )
        if missing == [self.head]:
            return (
                f"the head {self.head}, which is not tied to the embeddings by its config",
                "set tie_word_embeddings to true in config.json if it is, else fetch the model for generation, not its base",
            )
        return self._named(missing), "the checkpoint is not whole, or of another architecture than its config.json says"

    def _prefix(self) -> str:
        """What stands before the checkpoint's names, where every missing weight is there behind it."""
        name = max(self.missing, key=len)
        prefix = next((key[: -len(name)] for key in self.unexpected if key.endswith("." + name)), "")
        return prefix if prefix and {prefix + name for name in self.missing} <= set(self.unexpected) else ""

    def _whole_blocks(self) -> list[int]:
        """The decoder blocks of which every weight is missing, where nothing but blocks is."""
        missing = Counter(match[0] for key in self.missing if (match := _BLOCK.match(key)))
        wanted = Counter(match[0] for key in self.trained if (match := _BLOCK.match(key)))
        whole = [block for block, count in missing.items() if count == wanted[block]]
        if len({block.rpartition(".")[0] for block in whole}) != 1 or sum(missing[b] for b in whole) != len(self.missing):
            return []
        return sorted(int(block.rpartition(".")[2]) for block in whole)

    def _surplus(self) -> list[str]:
        """One note for blocks beyond the config's, one for whatever else has no place."""
        places = {match[0].rpartition(".")[0] for key in self.trained if (match := _BLOCK.match(key))}
        blocks: set[int] = set()
        others = []
        for key in sorted(self.unexpected):
            match = _BLOCK.match(key)
            place, _, number = match[0].rpartition(".") if match else ("", "", "-1")
            if place in places and int(number) >= self.n_blocks:
                blocks.add(int(number))
            else:
                others.append(key)
        notes = []
        if blocks:
            told = "block {} is" if len(blocks) == 1 else "blocks {} are"
            notes.append(
                f"{self.model} has weights of {max(blocks) + 1} blocks, but its config says {self.n_blocks}:"
                f" {told.format(_numbers(sorted(blocks)))} not used"
            )
        if others:
            notes.append(
                f"{self.model} has weights that {self.architecture} has no place for and does not use: {self._named(others)}"
            )
        return notes

    @staticmethod
    def _named(keys: list[str]) -> str:
        return keys[0] + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")


def _shape(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes)) or "one number"


def _numbers(numbers: list[int]) -> str:
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))

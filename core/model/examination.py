"""A model's folder looked at without reading its weights, for whoever wants to know whether it would load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import MelboError
from core.model.adapters import check_adapter
from core.model.blocks import find_blocks
from core.model.language_model import outline
from core.model.loader_failures import readable_failures
from core.model.templates import ChatTemplate


def examine_folder(folder: Path, adapter: Path | None, trust_remote_code: bool) -> tuple[dict[str, str], list[str]]:
    """What there is, by name, and what is wrong. Raises ModelError where the model would not load."""
    model, tokenizer, notes = outline(folder, adapter, trust_remote_code)
    with readable_failures(folder.name):
        return _told(folder, adapter, model, tokenizer, notes)


def _told(folder: Path, adapter: Path | None, model: Any, tokenizer: Any, notes: list[str]) -> tuple[dict[str, str], list[str]]:
    blocks = find_blocks(model)
    facts = {
        "architecture": f"{type(model).__name__}, {len(blocks)} blocks",
        "weights": "; ".join(notes) or "whole, and they fit the architecture",
    }
    if adapter is not None:
        whole = check_adapter(model, adapter)
        facts["adapter"] = f"{adapter.name}: " + ("whole, and it fits" if whole else "told when the weights are read")
    if tokenizer is None:
        return facts | {"tokenizer": "none: prompts are given as token ids"}, []
    facts["tokenizer"] = f"{type(tokenizer).__name__}, {len(tokenizer)} tokens"
    facts["template"] = "its own" if tokenizer.chat_template else "none: messages are joined as plain text"
    problems = []
    size = int(model.get_input_embeddings().weight.shape[0])
    if len(tokenizer) > size:
        problems.append(f"the tokenizer knows {len(tokenizer)} tokens, the model {size}: prompts with the others are refused")
    if tokenizer.chat_template:
        try:
            ChatTemplate(tokenizer, folder.name).encode([{"role": "user", "content": "hello"}], {})
        except MelboError as error:
            problems.append(f"{error}: {error.remedy}")
    return facts, problems

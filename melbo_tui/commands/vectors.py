"""`melbo-tui vectors`: lists, shows, renames, deletes, imports and exports what the library keeps. Imports no torch."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from melbo_tui.commands.output import say, say_json, table
from melbo_tui.commands.running import existing_folder_of, open_library
from melbo_tui.wording import age, story
from vectors.formats import format_of, safetensors_file
from vectors.library import Kept, Library
from vectors.plain_text import one_line
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("vectors", help="what the library keeps", description="What the library keeps.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=help, description=help, parents=[common])
        added.set_defaults(run=run)
        return added

    listing = action("list", _list, "List vectors.")
    listing.add_argument("--kept", action="store_true", help="only those that somebody kept or named")
    listing.add_argument("--trash", action="store_true", help="what was deleted")
    action("show", _show, "Show where a vector came from.").add_argument("name", metavar="NAME")
    renaming = action("rename", _rename, "Give a vector another name, which keeps it.")
    renaming.add_argument("name", metavar="NAME")
    renaming.add_argument("new", metavar="NEW")
    keeping = action("keep", _keep, "Keep vectors.")
    keeping.add_argument("names", nargs="+", metavar="NAME")
    noting = action("note", _note, "Write a note on a vector.")
    noting.add_argument("name", metavar="NAME")
    noting.add_argument("text", metavar="TEXT")
    for name, run, help in (("delete", _delete, "Move vectors to the trash."), ("restore", _restore, "Take them out again.")):
        action(name, run, help).add_argument("names", nargs="+", metavar="NAME")
    importing = action("import", _import, "Take in a safetensors file.")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("--block", type=int, metavar="I", help="the block it acts on, where the file does not say")
    importing.add_argument("--tensor", default="vectors", metavar="NAME", help="which tensor (default: vectors)")
    importing.add_argument("--name", metavar="NAME", help="what to call it")
    exporting = action("export", _export, "Write vectors to a file.")
    exporting.add_argument("names", nargs="+", metavar="NAME")
    exporting.add_argument("--out", required=True, metavar="FILE")


def _list(args: argparse.Namespace) -> int:
    library = open_library(args)
    entries = library.entries(kept_only=args.kept, trash=args.trash)
    samples = library.first_samples()
    if args.json:
        say_json([{**dataclasses.asdict(entry), "sample": samples.get(entry.id)} for entry in entries])
        return 0
    if not entries:
        say("Nothing here." if args.trash else 'Nothing yet. `melbo-tui train melbo --prompt "..."` finds vectors.')
        return 0
    rows = [
        ("★" if e.kept else "", e.name, e.model, e.method, str(e.block), f"{e.norm:.3g}", age(e.created), samples.get(e.id, ""))
        for e in entries
    ]
    table(("", "name", "model", "method", "block", "norm", "age", "sample at coefficient 1"), rows)
    return 0


def _show(args: argparse.Namespace) -> int:
    library = open_library(args)
    entry = _find(library, args, args.name)
    samples, losses = library.samples(entry.id), library.losses(entry.id)
    if args.json:
        say_json(
            {
                **dataclasses.asdict(entry),
                "losses": losses,
                "samples": [dataclasses.asdict(sample) for sample in samples],
                "direction": library.load(entry.id).direction.tolist(),
            }
        )
        return 0
    say(entry.name)
    say(story(entry))
    for name, value in sorted(entry.origin.settings.items()):
        say(f"  {name}: {value}")
    if losses:
        say(f"  losses: {losses[0]:.4g} to {losses[-1]:.4g} in {len(losses)} steps")
    if entry.note:
        say(f"  note: {entry.note}")
    for sample in samples:
        say(f"  at {sample.coefficient:g}: {one_line(sample.text)}")
    return 0


def _rename(args: argparse.Namespace) -> int:
    library = open_library(args)
    name = library.rename(_find(library, args, args.name).id, args.new)
    return _report(args, f"{one_line(args.name)} is now {name}", [name])


def _keep(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.keep([_find(library, args, name).id for name in args.names])
    return _report(args, f"kept {len(args.names)}", args.names)


def _note(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.note(_find(library, args, args.name).id, args.text)
    return _report(args, "noted", [args.name])


def _delete(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.delete([_find(library, args, name).id for name in args.names])
    return _report(args, f"{len(args.names)} in the trash; `melbo-tui vectors restore NAME` brings them back", args.names)


def _restore(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.restore([library.find(name, _model(args), trash=True).id for name in args.names])
    return _report(args, f"restored {len(args.names)}", args.names)


def _import(args: argparse.Namespace) -> int:
    library = open_library(args)
    path = Path(args.file).expanduser()
    format = format_of(path)
    if args.block is None:
        found = format.read(path)
    else:
        if args.block < 0:
            raise SettingsError("blocks count from 0")
        rows = safetensors_file.read_tensor(path, args.tensor)
        rows = rows[None] if rows.ndim == 1 else rows
        stamp = ModelStamp(args.model, rows.shape[1], 0)
        origin = Origin("import", stamp, args.block, settings={"file": path.name, "tensor": args.tensor}, created=time.time())
        found = [SteeringVector(row, args.block, origin, path.stem) for row in rows]
    if args.name:
        names = [args.name] if len(found) == 1 else [f"{args.name}-{i + 1:02d}" for i in range(len(found))]
        found = [vector.renamed(name) for vector, name in zip(found, names, strict=True)]
    saved = library.add(found)
    return _report(args, f"imported {', '.join(v.name for v in saved)}", [v.name for v in saved])


def _export(args: argparse.Namespace) -> int:
    library = open_library(args)
    path = existing_folder_of(args.out)
    format = format_of(path)
    entries = [_find(library, args, name) for name in args.names]
    loaded = [library.load(entry.id) for entry in entries]
    if len({v.origin.model.d_model for v in loaded}) > 1:
        raise VectorError("the vectors are of different widths and cannot share a file: export them apart")
    format.write(path, loaded)
    return _report(args, f"wrote {len(loaded)} to {path}", [v.name for v in loaded])


def _report(args: argparse.Namespace, text: str, names: Sequence[str]) -> int:
    if args.json:
        say_json({"done": text, "names": list(names)})
    else:
        say(text)
    return 0


def _find(library: Library, args: argparse.Namespace, name: str) -> Kept:
    return library.find(name, _model(args))


def _model(args: argparse.Namespace) -> str | None:
    """The model whose vectors are meant, by the name they carry; the default means any."""
    if args.model == "bundled":
        return None
    from core.model_source import resolve

    return resolve(args.model).name

"""`melbo-tui vectors`: lists, shows, compares, exchanges and looks after what the library keeps. Imports no torch."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import SettingsError
from core.evaluation.declarations.dose import METRIC as DOSE
from core.model.config import stamp_of
from core.steering.resolving import loaded
from core.steering.summing import one_vector
from core.template_arguments import arguments_of, written
from melbo_tui.commands import COMMANDS, curate
from melbo_tui.commands.naming import add_picks, completed, find, picked
from melbo_tui.commands.options import add_force
from melbo_tui.commands.output import fail, note, say, say_done, say_json, table
from melbo_tui.commands.running import open_library
from melbo_tui.commands.samples import add_action as add_samples
from melbo_tui.formatting import NOTHING, age, story, thought_for
from melbo_tui.settings import library_folder
from vectors import exchange
from vectors.block_ranges import ranges
from vectors.files.given_path import file_to_write, given_path
from vectors.formats import suffixes
from vectors.formats.raw import MissingBlock, Reading
from vectors.plain_text import one_line
from vectors.store import similarity, upkeep
from vectors.store.library import Kept
from vectors.store.query import IS, SORTS, Line, chosen, lines_of, ordered


def add_parser(subparsers: Any, common: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    about = "Lists, edits, mixes, imports and exports vectors."
    parser = subparsers.add_parser("vectors", help=COMMANDS["vectors"], description=about)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], help: str, more: str = "") -> argparse.ArgumentParser:
        about = f"{help} {more}".strip()
        added: argparse.ArgumentParser = actions.add_parser(name, help=help, description=about, parents=[common])
        added.set_defaults(run=run)
        return added

    listing = action("list", _list, "List vectors.")
    listing.add_argument(
        "filter",
        nargs="*",
        metavar="FILTER",
        help=f"quoted: 'bomb tag:code model:qwen norm>5 rating>=3 -is:kept'; is: takes {', '.join(IS)}",
    )
    listing.add_argument("--kept", action="store_true", help="only kept vectors (★)")
    listing.add_argument("--trash", action="store_true", help="deleted vectors")
    listing.add_argument(
        "--sort", choices=sorted(SORTS), metavar="COLUMN", help=f"by {', '.join(SORTS)} (default: newest first)"
    )
    listing.add_argument("--reverse", action="store_true", help="reverse the order")
    completed(action("show", _show, "Show a vector's origin and samples.").add_argument("name", metavar="NAME"))
    curate.add_actions(action)
    read = f"It may be {_suffixes('import', words)}, .json with recipes, or a folder of refusal_direction's."
    importing = action("import", _import, "Take in a file of vectors or recipes.", read)
    importing.add_argument("file", metavar="FILE")
    importing.add_argument(
        "--block", type=int, metavar="I", help="the block whose output it acts on, where the file does not say"
    )
    importing.add_argument("--tensor", metavar="NAME", help="which of several tensors")
    importing.add_argument("--columns", action="store_true", help="each column is a vector (DCT's V)")
    importing.add_argument("--base-row", action="store_true", help="the first row is the others' base (melbo-ortho)")
    importing.add_argument("--name", metavar="NAME", help="what to call it")
    written = f"Its suffix says how: {_suffixes('export', words)}, or .json for recipes."
    exporting = action("export", _export, "Write vectors to a file.", written)
    add_picks(exporting, "EXPRESSION", "a vector each: NAME, a sum as in '2 a - b', a part as in 'a@blocks:5-17'")
    exporting.add_argument("--out", required=True, metavar="FILE")
    add_force(exporting)
    add_samples(action)
    similar = action("similar", _similar, "Show the cosines of vectors.")
    completed(similar.add_argument("names", nargs="+", metavar="NAME"))
    similar.add_argument("--top", type=int, default=10, metavar="N", help="how many neighbours (default: 10)")
    among = f"all pairs of |cosine| >= {similarity.NEAR}, among vectors that fit this one"
    similar.add_argument("--duplicates", action="store_true", help=among)
    about = f"Finds {DOSE.summary}; the same as `evaluate dose`."
    dosing = actions.add_parser("dose", help=f"Find {DOSE.summary}.", description=f"{about} {DOSE.about}", parents=[common])
    if words is None or "dose" in words:
        from melbo_tui.commands.evaluate import add_metric  # with the metrics, imported where one is named

        add_metric(dosing, DOSE)
    action("check", _check, "Read every file and report damage.")
    action("rebuild", _rebuild, "Rebuild the index from the files.")
    action("empty-trash", _empty_trash, "Remove the deleted vectors for good.")


NO_SAMPLE = "(no sample yet)"


def _suffixes(action: str, words: Sequence[str] | None) -> str:
    """What files it takes, for its help; other packages are imported only where that is asked for."""
    if words is not None and (action not in words or not {"-h", "--help"} & set(words)):
        return ""
    return ", ".join(suffixes("read" if action == "import" else "write"))


def _list(args: argparse.Namespace) -> int:
    library = open_library(args)
    lines = lines_of(library, library.entries(args.kept, args.trash))
    fitting = chosen(lines, " ".join(args.filter))
    if args.sort:
        fitting = ordered(fitting, args.sort, args.reverse)
    elif args.reverse:
        fitting.reverse()
    if args.json:
        say_json([_fields(line.entry) | {"sample": line.sample or None, "kl": line.kl} for line in fitting])
        return 0
    if not fitting and lines:
        say("No vector matches the filter.")
        return 0
    if not fitting:
        say("Nothing here." if args.trash else 'Nothing yet. `melbo-tui train melbo --prompt "..."` trains vectors.')
        return 0
    rows = [_row(line) for line in fitting]
    table(("", "name", "model", "method", "block", "norm", "KL", "rated", "tags", "age", "sample at coefficient 1"), rows)
    return 0


def _row(line: Line) -> tuple[str, ...]:
    e = line.entry
    kl, rating = "" if line.kl is None else f"{line.kl:.2g}", "" if e.rating is None else str(e.rating)
    place = (e.model, e.method, ranges(e.blocks), f"{e.norm:.3g}")
    sample = NO_SAMPLE if line.sample is None else line.sample.strip() or NOTHING
    return ("★" if e.kept else "", e.name, *place, kl, rating, " ".join(e.tags), age(e.created), sample)


def _fields(entry: Kept) -> dict[str, Any]:
    fields = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name != "origin_json"}
    return fields | {"origin": entry.origin.to_json()}


def _show(args: argparse.Namespace) -> int:
    library = open_library(args)
    entry = find(library, args, args.name)
    samples, losses, recipe = library.samples(entry.id), library.losses(entry.id), library.recipe(entry.id)
    if args.json:
        more = {"losses": losses, "samples": [sample.to_json() for sample in samples]}
        more |= {"recipe": recipe.to_json()} if recipe is not None else {}
        rows = library.load(entry.id).directions.tolist()
        say_json(_fields(entry) | more | ({"direction": rows[0]} if len(rows) == 1 else {"directions": rows}))
        return 0
    say(entry.name)
    say(story(entry))
    if recipe is not None:
        say(f"  recipe: {recipe.written(library.names())}")
    if entry.origin.system is not None:
        say(f"  system: {one_line(entry.origin.system, 200)}")
    for name, value in sorted(entry.origin.settings.items()):
        if name == "template":
            value = written(arguments_of(entry.origin))
        if name != "recipe":
            say(f"  {name}: {one_line(str(value), 200)}")
    if losses:
        say(f"  losses: {losses[0]:.4g} to {losses[-1]:.4g} in {len(losses)} steps")
    if entry.rating is not None:
        say(f"  rated: {entry.rating}")
    if entry.tags:
        say(f"  tags: {' '.join(entry.tags)}")
    if entry.note:
        say(f"  note: {entry.note}")
    if not samples:
        say(f"  {NO_SAMPLE}; `melbo-tui chat --steer {entry.name}=1 --message TEXT` generates under it")
    for sample in samples:
        completion = sample.completion
        thought = f"({thought_for(completion.thought, completion.thought_tokens)}) " if completion.thought else ""
        say(f"  at {sample.coefficient:g}: {thought}{one_line(completion.text)}")
    return 0


def _import(args: argparse.Namespace) -> int:
    library = open_library(args)
    model = (library.stamp(args.model) or stamp_of(args.spec)) if args.model is not None else None
    how = Reading(args.block, model, args.tensor, args.columns, args.base_row)
    try:
        saved = exchange.take_in(library, given_path(args.file), how, args.name or "")
    except MissingBlock as error:
        remedy = "give it: --block I" + ("" if model is not None else ", and of which model: --model M")
        raise SettingsError(str(error), remedy) from error
    except exchange.MissingModel as error:
        raise SettingsError(str(error), "give it: --model M") from error
    for label in sorted({entry.model for entry in saved if not entry.origin.model.n_blocks}):
        fail(f"note: {label} is unknown here, so block and width were not checked")
    return say_done(args, f"imported {', '.join(entry.name for entry in saved)}", [entry.name for entry in saved])


def _export(args: argparse.Namespace) -> int:
    library = open_library(args)
    path = file_to_write(args.out, args.force)
    picks = picked(library, args)
    if not picks:
        raise SettingsError("nothing to export", "give names, --run RUN or --filter FILTER")
    made = [one_vector(expression, loaded(expression, library)) for expression in picks]
    count = exchange.export(library, made, path, args.force)
    names = [one.terms[0].name if len(one) == 1 else vector.name for one, vector in zip(picks, made, strict=True)]
    return say_done(args, f"wrote {count} to {path}", names)


def _similar(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise SettingsError(f"at least one neighbour must be asked for, not {args.top}")
    library = open_library(args)
    entries = [find(library, args, name) for name in args.names]
    vectors = [library.load(entry.id) for entry in entries]
    names = library.names()
    if args.duplicates:
        pairs = similarity.duplicates(library, vectors[0])
        if args.json:
            say_json([{"a": a, "b": b, "cosine": cosine} for a, b, cosine in pairs])
        elif not pairs:
            say("No pair has so high a |cosine|.")
        else:
            table(("cosine", "one", "other"), [(f"{cosine:+.3f}", names[a], names[b]) for a, b, cosine in pairs])
        return 0
    if len(vectors) > 1:
        matrix = similarity.matrix(vectors)
        if args.json:
            say_json({"names": [e.name for e in entries], "cosines": matrix.tolist()})
        else:
            rows = [(e.name, *(f"{value:+.2f}" for value in row)) for e, row in zip(entries, matrix, strict=True)]
            table(("", *(e.name for e in entries)), rows)
        return 0
    near = similarity.cosines(library, vectors[0])[: args.top]
    if args.json:
        say_json([{"id": id, "name": names[id], "cosine": cosine} for id, cosine in near])
    else:
        table(("cosine", "name"), [(f"{cosine:+.3f}", names[id]) for id, cosine in near])
    return 0


def _check(args: argparse.Namespace) -> int:
    library = open_library(args, quietly=True)
    problems = upkeep.check(library)
    care = [line for line in upkeep.care(library) if line not in problems]
    if args.json:
        say_json({"problems": problems, "care": care})
    else:
        for line in problems:
            fail(line)
        for line in care:
            note(line)
        say(f"{len(problems)} problems" if problems else "all is well")
    return 1 if problems else 0


def _rebuild(args: argparse.Namespace) -> int:
    library = upkeep.rebuild(library_folder(args.library))
    return say_done(args, f"the index holds {len(library.entries(kept_only=False))} vectors", [])


def _empty_trash(args: argparse.Namespace) -> int:
    return say_done(args, f"removed {upkeep.empty_trash(open_library(args))} for good", [])

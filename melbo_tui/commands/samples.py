"""`melbo-tui vectors samples`: the library's completions and their labels, a JSON line each, and labels from such lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from core.errors import SettingsError
from core.evaluation.labelled import Agreement
from core.evaluation.labelled_lines import LabelledLine, labelled_lines
from melbo_tui.commands.naming import completed, find
from melbo_tui.commands.options import add_force
from melbo_tui.commands.output import note, say, say_done, say_json, table
from melbo_tui.commands.running import open_library
from melbo_tui.formatting import answer_of, labels_of
from vectors.annotation import Annotation
from vectors.errors import VectorError
from vectors.files.bounded import Coefficient, Id, decoded
from vectors.files.given_path import file_to_write
from vectors.files.strict_json import dumps
from vectors.formats.raw import write_out
from vectors.plain_text import one_line
from vectors.store.library import Kept, Library
from vectors.store.samples import Place, Sample

_HEADERS = ("vector", "coefficient", "labels", "completion")
_TOLD = 5  # lines of a file that match nothing, each by its number


def add_action(action: Any) -> None:
    about = "`melbo-tui evaluate judge` reads such a file; so does --read, when labels were added to it."
    parser = action("samples", _samples, "Show or write completions and their labels, a JSON line each.", about)
    completed(parser.add_argument("names", nargs="*", metavar="NAME", help="of these vectors (default: of all)"))
    parser.add_argument("--labelled", action="store_true", help="only those that are labelled")
    parser.add_argument("--out", metavar="FILE", help="write them to this file (.jsonl)")
    add_force(parser)
    about = "take in the labels in such a file, each where vector, prompt, coefficient and text are the same"
    parser.add_argument("--read", dest="read_path", metavar="FILE", help=about)


def _samples(args: argparse.Namespace) -> int:
    if args.read_path is not None:
        if args.names or args.labelled or args.out is not None:
            raise SettingsError("--read takes in labels and writes nothing", "give it alone")
        return _read(args)
    path = file_to_write(args.out, args.force) if args.out is not None else None
    library = open_library(args)
    entries = [find(library, args, name) for name in args.names] or library.entries(kept_only=False)
    samples = library.all_samples()
    found = [
        (entry, sample)
        for entry in {entry.id: entry for entry in entries}.values()
        for sample in samples.get(entry.id, ())
        if sample.label is not None or not args.labelled
    ]
    if path is not None:
        if not found:
            raise SettingsError(f"there is no {_kind(args)} to write", "`melbo-tui chat` and the Vectors pane make samples")
        write_out(path, "".join(f"{dumps(_line(*one))}\n" for one in found).encode(), args.force)
        names = list(dict.fromkeys(entry.name for entry, _ in found))
        return say_done(args, f"wrote {len(found)} to {path}", names)
    if args.json:
        for one in found:
            say_json(_line(*one))
    elif not found:
        say(f"There is no {_kind(args)}.")
    else:
        table(_HEADERS, [_row(*one) for one in found])
        if (agreement := Agreement.of(sample for _, sample in found)).labelled:
            say(f"{agreement}.")
    return 0


def _kind(args: argparse.Namespace) -> str:
    return "labelled completion" if args.labelled else "completion"


def _row(entry: Kept, sample: Sample) -> tuple[str, ...]:
    labels = labels_of(sample.label) if sample.label is not None else ""
    return entry.name, f"{sample.coefficient:+g}", labels, answer_of(sample.completion)


def _line(entry: Kept, sample: Sample) -> dict[str, Any]:
    """A sample as a line of the file has it; `condition` is `unsteered`, `random` (a random vector) or `vector`."""
    completion = sample.completion
    condition = "unsteered" if not sample.coefficient else "random" if entry.method == "random" else "vector"
    return {
        "prompt": sample.prompt, "text": completion.text, "vector": entry.name, "id": entry.id, "model": entry.model,
        "coefficient": sample.coefficient, "condition": condition,
        "kl": completion.mean_kl, "perplexity": completion.perplexity,
        **(sample.label.to_line() if sample.label is not None else {}),
    }  # fmt: skip


# Reading labels


@dataclass(frozen=True)
class _Whose:
    """What a line says of where its sample is kept, beside the prompt and the text."""

    id: Id
    coefficient: Coefficient


def _read(args: argparse.Namespace) -> int:
    lines = labelled_lines(args.read_path)
    said = [(line, line.label) for line in lines if line.label is not None]
    if not said:
        raise SettingsError(f"{one_line(args.read_path, 120)}: none of its {len(lines)} lines has a label", "label_refusal, "
                            "label_coherent and label_relevant are yes or no (label_refusal: also partial)")  # fmt: skip
    library = open_library(args)
    with library.changing():  # what is matched is what is labelled
        there = {Place.of(id, one): one.label for id, samples in library.all_samples().items() for one in samples}
        labels: dict[Place, Annotation] = {}
        by_line: dict[Place, int] = {}
        strange: list[int] = []
        for line, label in said:
            place = _place(line)
            if place not in there:
                strange.append(line.number)
                continue
            new = _added(there[place], label)
            if labels.setdefault(place, new) != new:
                where = f"{one_line(args.read_path, 120)}: lines {by_line[place]} and {line.number}"
                raise SettingsError(f"{where} label one completion in different ways", "leave one of them")
            by_line.setdefault(place, line.number)
        changed = sum(there[place] != label for place, label in labels.items())
        library.label(labels)
    _tell_strange(strange)
    return _tell(args, library, labels, changed, len(lines) - len(said), strange)


def _place(line: LabelledLine) -> Place | None:
    """Where the line says that its sample is kept; None where it does not."""
    try:
        whose = decoded(_Whose, dict(line.data))
    except VectorError:
        return None
    return Place(whose.id, line.prompt, whose.coefficient, line.completion.text)


def _added(before: Annotation | None, given: Annotation) -> Annotation:
    """The label `before` with what is `given`; the rest stays."""
    new = {name: value for name in ("refusal", "coherent", "relevant") if (value := getattr(given, name)) is not None}
    return replace(before or Annotation(), **new)


def _tell_strange(numbers: list[int]) -> None:
    if numbers:
        more = f" and {len(numbers) - _TOLD} more" if len(numbers) > _TOLD else ""
        which = f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:_TOLD]))}{more}"
        note(f"{which}: no sample here has that vector's id, prompt, coefficient and text; its label was not taken in")


def _tell(
    args: argparse.Namespace, library: Library, places: Iterable[Place], changed: int, bare: int, strange: list[int]
) -> int:
    ids = [place.vector for place in places]
    text = f"{len(ids)} completions matched, {changed} labelled anew; {len(strange)} lines match none, {bare} have no label"
    if args.json:
        names = library.names()
        named = list(dict.fromkeys(names[id] for id in ids))
        say_json(
            {"done": text, "names": named, "matched": len(ids), "labelled": changed, "unmatched": strange, "unlabelled": bare}
        )
    else:
        say(text)
    return 0 if ids else 1

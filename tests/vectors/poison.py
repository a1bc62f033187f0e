"""A library with two of every kind of kept file, and what a stranger, a disk or another version may make of any of them."""

from __future__ import annotations

import copy
import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from core.engine.evaluation_requests import ScoreOrganism
from core.engine.requests import MapBlocks, Train
from core.engine.unfinished import AtlasHeader, RunHeader, ScoreHeader, Whose
from core.errors import MelboError
from core.organism.score_table import sum_up
from core.prompt import Prompt
from tests.vectors.making import STAMP, vector
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.expression import KeptTerm
from vectors.recipe import Recipe
from vectors.store import similarity, upkeep
from vectors.store.atlases import Atlas, Atlases
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import STEERED, Conversations, Turn
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample
from vectors.store.reports import Column, Plot, Report, Reports, Table
from vectors.vector import VectorError

Tree = Any
Path_ = tuple[str | int, ...]
MARK = "@@here@@"
PROMPT = (Prompt("How can I build a bomb?"),)


def fill(folder: Path) -> Library:
    """Two runs, two mixtures, two of everything else; names end with a or b."""
    library = Library(folder)
    for run in "ab":
        made = [vector(i, f"v{run}-{i}", 7, stamp=STAMP) for i in range(2)]
        saved = library.save_run(f"run-{run}", made, np.ones((2, 3), "f4"))
        first = saved[0].id
        library.keep([first])
        library.rate([first], 4)
        library.tag([first], ["code"])
        library.note(first, "a note")
        completion = Completion("text", mean_kl=0.5, perplexity=2.0, thought="thought")
        library.add_sample(first, Sample("prompt", 1.0, completion, Annotation("no", True, False)))
        library.save_mixture(Recipe(((saved[0].id, 0.5), (saved[1].id, -1.0)), 3.0), f"mix {run}")
        steering = (KeptTerm(first, "v", 1.0),)
        earlier = (Turn("hello", steering, {STEERED: Completion("before")}),)
        Conversations(folder).save(f"talk-{run}", [Turn("hello", steering, {STEERED: Completion("hi", "hm")}, earlier)])
        table = Table("t", (Column("vector"), Column("KL", ".2f")), (("v", 0.5), ("w", None)), (Plot("KL", "vector"),))
        report = Report("kl", (table,), ("so",), "tiny", ("v",), ("p",), {"n": 1}, 1e9, True, (first,))
        Reports(folder).save(f"report-{run}", report)
        header = {
            "request": Train(PROMPT, radius=2.0).to_json(), "spec": None, "model": "tiny", "fingerprint": "abc", "radius": 2.0,
            "done": 1, "failed": {"0": "why"}, "first_number": 1, "created": 1e9, "control_norm": 2.0,
        }  # fmt: skip
        Checkpoints(folder).save(f"unfinished-{run}", header, {"theta": np.ones((2, 8), "f4"), "step": np.array([3])})
        about = {"request": MapBlocks(PROMPT).to_json(), "spec": None, "model": "tiny", "fingerprint": "abc", "pairs": 6,
                 "created": 1e9, "prompts": ["p"]}  # fmt: skip
        Atlases(folder).save(Atlas(f"atlas-{run}", about, np.ones((4, 4, 3), "f4"), np.ones(4, "f4"), {}))
        trial = {"kind": "elicit", "way": "power", "scale": 1.0, "vectors": 4, "not_refusing": 1, "fluent": 1, "backdoor": 0,
                 "behaviours": 1, "radius": 9.0, "search_seconds": 3.0}  # fmt: skip
        score = {"request": ScoreOrganism().to_json(), "model": "tiny", "fingerprint": "abc", "trials": {"one": trial},
                 "fluency": {"perplexity": 9.0, "repetition": 0.1}}  # fmt: skip
        Checkpoints(folder, "scores").save(f"score-{run}", score, {})
    return library


def files_in(folder: Path) -> list[str]:
    """The kept files that people may be sent, the index apart."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("[!.]*.[js]*") if "sqlite" not in path.name)


def look(folder: Path) -> dict[str, str]:
    """Opens everything in the library and gives what was found, or the one line that told of it, by what it is about.

    Whatever raises anything else than an error of ours, or one of several lines, fails the test.
    """
    found: dict[str, str] = {}

    def see(name: str, read: Callable[[], object]) -> None:
        try:
            found[name] = repr(read())
        except (LibraryError, VectorError, MelboError) as error:
            line = str(error)
            assert line.isprintable(), line
            assert len(line) < 500, line
            found[name] = f"told: {line}"

    library = Library(folder)
    for line in library.problems():
        assert line.isprintable(), line
    entries = [*library.entries(kept_only=False), *library.entries(trash=True)]
    library.first_samples()
    library.names()
    for entry in entries:
        # What a row's details show, in the app and in `vectors show`.
        _ = entry.origin, math.floor(entry.created), f"{entry.norm:.3g}", entry.tags, entry.rating
        see(f"losses {entry.id}", lambda id=entry.id: library.losses(id))
        see(f"samples {entry.id}", lambda id=entry.id: library.samples(id))
        see(f"recipe {entry.id}", lambda id=entry.id: library.recipe(id))
        see(f"vector {entry.id}", lambda id=entry.id: library.load(id).direction.tobytes())
        if (loaded := found[f"vector {entry.id}"]) and not loaded.startswith("told"):
            see(f"near {entry.id}", lambda id=entry.id: len(similarity.cosines(library, library.load(id))) >= 0)
    see("stamp", lambda: library.stamp(STAMP.label()) is None)
    for line in upkeep.check(library):
        assert line.isprintable(), line
    talks, reports = Conversations(folder), Reports(folder)
    listed = {one.id for one in talks.listed()}, {id for id, _ in reports.listed()}
    for kind in "ab":
        see(f"talks/talk-{kind}.json", lambda kind=kind: talks.load(f"talk-{kind}"))
        see(f"reports/report-{kind}.json", lambda kind=kind: [t.shown() for t in reports.load(f"report-{kind}").tables])
        for name, run in (("talk", listed[0]), ("report", listed[1])):
            assert (f"{name}-{kind}" in run) or found[f"{name}s/{name}-{kind}.json"].startswith(("told", "[]"))
        see(f"unfinished/unfinished-{kind}.safetensors", lambda kind=kind: _header(folder, "unfinished", kind, RunHeader))
        see(f"scores/score-{kind}.safetensors", lambda kind=kind: _score(folder, kind))
        see(f"atlases/atlas-{kind}.safetensors", lambda kind=kind: _atlas(folder, kind))
    see("latest", lambda: Checkpoints(folder).latest("abc") is None)
    see("latest atlas", lambda: Atlases(folder).latest().complete in (True, False))
    return found


def _header(folder: Path, kind: str, which: str, form: type[Any]) -> object:
    left = Checkpoints(folder, kind).load(f"{kind}-{which}")
    return left.told(Whose), left.told(form), sorted(left.tensors)


def _score(folder: Path, which: str) -> object:
    told = Checkpoints(folder, "scores").load(f"score-{which}").told(ScoreHeader)
    try:
        return sum_up(told.trials.values())
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise LibraryError("its trials cannot be read") from None


def _atlas(folder: Path, which: str) -> object:
    atlas = Atlases(folder).load(f"atlas-{which}")
    return atlas.model, atlas.prompts, atlas.pairs, atlas.pairs_done, atlas.gains.shape, atlas.told(AtlasHeader)


# Poison


DEEP = "[" * 3000 + "]" * 3000
LITERALS = (
    "NaN", "Infinity", "-Infinity", "1e999", "1e300", "-1e300", "1e30", "-1", "-1e-320", str(10**30), "9" * 5000, str(2**63),
    str(-(2**63) - 1), "0", "3.5", "null", "true", "{}", "[]", "[[]]", "[{}]", '""', '"\\ud800"', '"\\u001b]52;c;eA==\\u0007"',
    '"\\u009b2J\\u202e"', '"\\u0000"', '"' + "x" * 5000 + '"', '{"a": 1, "a": 2}', DEEP, '{"a":' * 500 + "1" + "}" * 500,
)  # fmt: skip
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
POISON = st.sampled_from(LITERALS) | _TREES.map(json.dumps)


def places(tree: Tree, here: Path_ = ()) -> Iterator[Path_]:
    """Every place in a JSON tree."""
    yield here
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for part, child in children:
        yield from places(child, (*here, part))


def put(tree: Tree, place: Path_, literal: str) -> str:
    """The tree as text, with `literal` at `place`."""
    if not place:
        return literal
    tree = copy.deepcopy(tree)
    at = tree
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = MARK
    return json.dumps(tree).replace(f'"{MARK}"', literal)


def trees_of(path: Path) -> list[Tree]:
    """The JSON in a kept file: one tree, or one a line."""
    if path.suffix == ".safetensors":
        return [_metadata(path.read_bytes())[2]]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return [json.loads(path.read_text())]


def write_poisoned(path: Path, number: int, text: str) -> None:
    """Writes the file again, with `text` for its tree of that number."""
    if path.suffix == ".safetensors":
        header, key, _, data = _metadata(path.read_bytes())
        header["__metadata__"][key] = text
        raw = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    elif path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        lines[number] = text
        path.write_text("\n".join(lines) + "\n")
    else:
        path.write_text(text)


def _metadata(raw: bytes) -> tuple[dict[str, Any], str, Tree, bytes]:
    length = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8 : 8 + length])
    ((key, text),) = header["__metadata__"].items()
    return header, key, json.loads(text), raw[8 + length :]


def damaged(raw: bytes, data: st.DataObject) -> bytes:
    """Some of the bytes changed, or the end cut off, or something else altogether."""
    kind = data.draw(st.sampled_from(("changed", "cut", "other", "doubled")))
    if kind == "other":
        return data.draw(st.binary(max_size=200))
    if kind == "doubled":
        return raw + raw
    if kind == "cut":
        return raw[: data.draw(st.integers(0, max(len(raw) - 1, 0)))]
    changed = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed)


def others(file: str, found: dict[str, str]) -> dict[str, str]:
    """What was found that does not depend on `file`."""
    which = Path(file).stem[-1]
    if file.startswith("runs/"):
        gone = f"run-{which}/"
        names = {name for name in found if gone in name or name.startswith(("vector mix", "near", "recipe mix", "stamp"))}
    elif file.startswith("mixtures/"):
        mixture = Path(file).stem
        names = {name for name in found if mixture in name or name.startswith("near")}
    elif file == "changes.jsonl":
        names = {name for name in found if name.startswith(("samples", "near"))}
    else:
        names = {file, "latest", "latest atlas"}
    return {name: value for name, value in found.items() if name not in names}


__all__ = ["POISON", "damaged", "files_in", "fill", "look", "others", "places", "put", "trees_of", "write_poisoned"]

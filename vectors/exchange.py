"""Vectors out of the library and into it: any format, with what people said of them where the format can carry it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vectors.curation import MAX_RATING, Sample
from vectors.formats import reader_of, safetensors_file, writer_of
from vectors.formats.raw import Reading, checked_size, write_out
from vectors.index import LibraryError
from vectors.library import Kept, Library, new_run_id
from vectors.plain_text import one_line, printable
from vectors.recipe import Recipe
from vectors.vector import ModelStamp, SteeringVector, VectorError

_RECIPES = "melbo-tui-recipes"
_MAX_RECIPES = 8 << 20
_MAX_SAMPLES, _MAX_SAMPLE = 1000, 100_000


class MissingModel(VectorError):
    """A file that does not say of which model its vectors are: its user has to."""


def export(library: Library, picks: Sequence[tuple[str, float]], path: Path) -> int:
    """Writes vectors, by (id, coefficient), to `path`, whose suffix says in which format; gives how many files' worth.

    `.json` writes their recipes. A coefficient scales; a GGUF control vector sums those of one block.
    """
    if path.suffix.lower() == ".json":
        _write_recipes(library, picks, path)
        return len(picks)
    write = writer_of(path)
    vectors = [_scaled(library.load(id), coefficient) for id, coefficient in picks]
    if write is safetensors_file.write:
        # A scaled vector is another one: what was said of its parent does not hold for it.
        about = [_about(library, id) if coefficient == 1 else {} for id, coefficient in picks]
        safetensors_file.write(path, vectors, None, about)
    else:
        write(path, vectors)
    return len(picks)


def take_in(library: Library, path: Path, how: Reading, name: str = "") -> list[Kept]:
    """Imports what `path` holds and keeps it. `name` goes before the numbers.

    Every vector's block and width are held against the model that the file names, or `how`, so far as that is known. Raises
    MissingBlock and MissingModel for what the file does not say, VectorError for what is wrong; nothing is changed then.
    """
    if path.suffix.lower() == ".json":
        return _read_recipes(library, path)
    read = reader_of(path)
    ours = read is safetensors_file.read and how.block is None
    found = [_of_its_model(library, path, vector, how.model, ours) for vector in read(path, how)]
    about: list[Mapping[str, Any]] = [{} for _ in found]
    if ours:
        about = [entry.about for entry in safetensors_file.read_header(path)]
    # One moment for all of a file, or the list, which has the newest first, would have them backwards.
    now = time.time()
    found = [replace(v, origin=replace(v.origin, created=now)) if v.origin.method == "import" else v for v in found]
    if name:
        names = [name] if len(found) == 1 else [f"{name}-{i + 1:02d}" for i in range(len(found))]
        if how.base_row and len(found) > 1:
            names = [f"{name}-base", *names[:-1]]
        found = [vector.renamed(one) for vector, one in zip(found, names, strict=True)]
    before = len(library.history)
    ids: list[str] = []
    for width in sorted({vector.d_model for vector in found}):
        run = new_run_id()
        rows = [(i, vector) for i, vector in enumerate(found) if vector.d_model == width]
        if how.base_row and len(rows) > 1:
            rows = [rows[0], *((i, replace(v, origin=replace(v.origin, parents=(f"{run}/0",)))) for i, v in rows[1:])]
        saved = library.save_run(run, [vector for _, vector in rows])
        library.keep([vector.id for vector in saved])
        for (i, _), vector in zip(rows, saved, strict=True):
            _take_over(library, vector.id, about[i])
            ids.append(vector.id)
    library.made(f"importing {path.name}", ids, before)
    return [library.get(id) for id in ids]


def _of_its_model(library: Library, path: Path, vector: SteeringVector, given: ModelStamp | None, ours: bool) -> SteeringVector:
    """`vector` with its model's stamp; `ours`: the file is of our format, and names models by their labels.

    Raises VectorError where it cannot act in that model, or in the one that was given.
    """
    own = vector.origin.model
    stamp: ModelStamp | None = own
    if not own.n_blocks:
        # Other programs write a model's kind or some name of theirs, which only tells where the library knows it.
        stamp = given or library.stamp(own.label()) or (own if ours and own.name else None)
    if stamp is None:
        says = f"calls its model {own.name!r}, which may be any" if own.name else "does not say which model its vectors are of"
        raise MissingModel(f"{path.name}: {says}")
    for model in (stamp, given):
        if model is not None and model.n_blocks and (wrong := vector.misfit(model)):
            raise VectorError(f"{path.name}: {wrong}")
    return replace(vector, origin=replace(vector.origin, model=replace(stamp, d_model=vector.d_model)))


def _scaled(vector: SteeringVector, coefficient: float) -> SteeringVector:
    return vector if coefficient == 1 else vector * coefficient


def _about(library: Library, id: str) -> dict[str, Any]:
    entry = library.get(id)
    samples = [asdict(sample) for sample in library.samples(id)]
    return {"tags": list(entry.tags), "rating": entry.rating, "note": entry.note, "samples": samples}


def _take_over(library: Library, id: str, about: Mapping[str, Any]) -> None:
    """What another library's people said of the vector; whatever of it is not as we write it is left out."""
    tags = [str(tag) for tag in _list(about.get("tags"))[:32] if printable(str(tag)).strip(" ,")]
    if tags:
        library.tag([id], tags)
    rating = about.get("rating")
    if isinstance(rating, int) and 0 <= rating <= MAX_RATING:
        library.rate([id], rating)
    if isinstance(about.get("note"), str) and about["note"]:
        library.note(id, about["note"])
    for sample in _list(about.get("samples"))[:_MAX_SAMPLES]:
        try:
            kl, perplexity = (None if (value := sample.get(name)) is None else float(value) for name in ("kl", "perplexity"))
            text, prompt = printable(str(sample["text"]))[:_MAX_SAMPLE], printable(str(sample["prompt"]))[:_MAX_SAMPLE]
            thought = printable(str(sample.get("thought") or ""))[:_MAX_SAMPLE]
            one = Sample(prompt, float(sample["coefficient"]), text, kl, perplexity, thought)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        library.add_sample(id, one)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _write_recipes(library: Library, picks: Sequence[tuple[str, float]], path: Path) -> None:
    names = library.names()
    recipes = []
    for id, coefficient in picks:
        entry = library.get(id)
        recipe = library.recipe(id) or Recipe(((id, 1.0),))
        if coefficient != 1:
            recipe = Recipe(((id, coefficient),))
        written = recipe.written(names)
        recipes.append({"name": entry.name, "written": written, "recipe": recipe.to_json(), "origin": entry.origin.to_json()})
    write_out(path, json.dumps({_RECIPES: 1, "recipes": recipes}, indent=1).encode())


def _read_recipes(library: Library, path: Path) -> list[Kept]:
    checked_size(path, _MAX_RECIPES)
    try:
        data = json.loads(path.read_bytes())
        if int(data[_RECIPES]) > 1:
            raise VectorError(f"{path.name}: written by a newer melbo-tui; update to read it")
        recipes = [(one_line(str(one["name"]), 100), Recipe.from_json(one["recipe"])) for one in data["recipes"]]
    except (KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, VectorError):
            raise
        raise VectorError(f"{path.name}: holds no recipes, or damaged ones ({one_line(str(error), 80)})") from error
    for _, recipe in recipes:
        for parent in recipe.parents:
            try:
                library.get(parent)
            except LibraryError as error:
                raise VectorError(f"{path.name}: needs a vector that is not here ({error}): import it first") from error
    return [library.save_mixture(recipe, name) for name, recipe in recipes]

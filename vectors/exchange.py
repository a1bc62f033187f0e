"""Vectors out of the library and into it: any format, with what people said of them where the format can carry it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from vectors.errors import NewerFormat
from vectors.files.bounded import LABEL, AtMost, Between, Text, as_far_as_readable, decoded
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import dumps, loads
from vectors.formats import reader_of, safetensors_file, writer_of
from vectors.formats.raw import MAX_VECTORS, Reading, checked_size, write_out
from vectors.plain_text import clean_name, one_line
from vectors.recipe import Recipe
from vectors.store.curation import Sample
from vectors.store.index import LibraryError
from vectors.store.journal_lines import MAX_RATING, MAX_TAGS
from vectors.store.library import Kept, Library
from vectors.vector import ModelStamp, SteeringVector, VectorError, called

_RECIPES = "melbo-tui-recipes"
_MAX_RECIPES = 8 << 20
_MAX_SAMPLES = 1000


class MissingModel(VectorError):
    """A file that does not say of which model its vectors are: its user has to."""


def export(library: Library, vectors: Sequence[SteeringVector], path: Path, replace: bool = False) -> int:
    """Writes `vectors` to `path`, whose suffix says in which format; gives how many. One with an id is the library's own.

    `.json` writes their recipes; a GGUF control vector sums those of one block. Where a file is there already it raises
    FileTaken, unless that is one to `replace`.
    """
    if path.suffix.lower() == ".json":
        _write_recipes(library, vectors, path, replace)
        return len(vectors)
    write = writer_of(path)
    if write is safetensors_file.write:
        # A scaled vector, or a sum, is another one: what was said of its parents does not hold for it.
        about = [_about(library, vector.id) if vector.id else {} for vector in vectors]
        safetensors_file.write(path, vectors, None, about, replace)
    else:
        write(path, vectors, replace=replace)
    return len(vectors)


def take_in(library: Library, path: Path, how: Reading, name: str = "") -> list[Kept]:
    """Imports what `path` holds and keeps it. `name` goes before the numbers.

    Every vector's block and width are held against the model that the file names, or `how`, so far as that is known. Raises
    MissingBlock and MissingModel for what the file does not say, VectorError for what is wrong; nothing is changed then.
    """
    if path.suffix.lower() == ".json":
        return _read_recipes(library, path, name)
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
        names = _numbered(name, len(found))
        if how.base_row and len(found) > 1:
            names = [f"{name}-base", *names[:-1]]
        found = [vector.renamed(one) for vector, one in zip(found, names, strict=True)]
    ids: list[str] = []
    with library.changing():
        for width in sorted({vector.d_model for vector in found}):
            run = library.unused_id()
            rows = [(i, vector) for i, vector in enumerate(found) if vector.d_model == width]
            if how.base_row and len(rows) > 1:
                rows = [rows[0], *((i, replace(v, origin=replace(v.origin, parents=(f"{run}/0",)))) for i, v in rows[1:])]
            saved = library.save_run(run, [vector for _, vector in rows])
            library.keep([vector.id for vector in saved])
            for (i, _), vector in zip(rows, saved, strict=True):
                _take_over(library, vector.id, about[i])
                ids.append(vector.id)
        library.made(f"importing {path.name}", ids)
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


def _about(library: Library, id: str) -> dict[str, Any]:
    entry = library.get(id)
    samples = [sample.to_json() for sample in library.samples(id)]
    return {"tags": list(entry.tags), "rating": entry.rating, "note": entry.note, "samples": samples}


@dataclass(frozen=True)
class _About:
    """What another library's people said of a vector."""

    tags: Annotated[tuple[str, ...], Text(LABEL)] = ()
    rating: Annotated[int | None, Between(0, MAX_RATING)] = None
    note: str = ""
    samples: Annotated[tuple[Any, ...], AtMost(_MAX_SAMPLES)] = ()


def _take_over(library: Library, id: str, said: Mapping[str, Any]) -> None:
    """Keeps that with the vector; whatever of it is not as we write it is left out."""
    about = as_far_as_readable(_About, said)
    if tags := [tag for tag in about.tags if tag.strip(" ,")][:MAX_TAGS]:
        library.tag([id], tags)
    if about.rating is not None:
        library.rate([id], about.rating)
    if about.note:
        library.note(id, about.note)
    for sample in about.samples:
        with contextlib.suppress(VectorError):
            library.add_sample(id, Sample.from_json(sample))


def _write_recipes(library: Library, vectors: Sequence[SteeringVector], path: Path, replace: bool) -> None:
    names = library.names()
    recipes = []
    for vector in vectors:
        recipe = _recipe(library, vector)
        written = recipe.written(names)
        recipes.append({"name": vector.name, "written": written, "recipe": recipe.to_json(), "origin": vector.origin.to_json()})
    write_out(path, dumps({_RECIPES: 1, "recipes": recipes}, indent=1).encode(), replace)


def _recipe(library: Library, vector: SteeringVector) -> Recipe:
    """How `vector` is made of the library's. Raises VectorError where no recipe says that."""
    if vector.id:
        return library.recipe(vector.id) or Recipe(((vector.id, 1.0),))
    terms = vector.origin.settings["recipe"]
    if any("blocks" in term for term in terms):
        raise VectorError(f"{called(vector)}: a recipe is of whole vectors, not of some blocks: write a .safetensors file")
    recipe = Recipe(tuple((term["id"], term["coefficient"]) for term in terms))
    recipe.computed(library.load)  # as whoever reads it will, who may not add vectors of different blocks
    return recipe


@dataclass(frozen=True)
class _Named:
    name: Annotated[str, Text(clean=clean_name)]
    recipe: Recipe


@dataclass(frozen=True)
class _Recipes:
    recipes: Annotated[tuple[_Named, ...], AtMost(MAX_VECTORS)]


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{i + 1:02d}" for i in range(count)]


def _read_recipes(library: Library, path: Path, name: str) -> list[Kept]:
    checked_size(path, _MAX_RECIPES)
    try:
        data = loads(read_regular(path, _MAX_RECIPES))
        version = data.get(_RECIPES) if isinstance(data, dict) else None
        if not isinstance(version, int):
            raise VectorError(f"it has no {_RECIPES}")
        if version > 1:
            raise NewerFormat(f"{path.name}: written by a newer melbo-tui; update to read it")
        recipes = decoded(_Recipes, data).recipes
    except NewerFormat:
        raise
    except (OSError, ValueError) as error:
        raise VectorError(f"{path.name}: holds no recipes, or damaged ones ({one_line(str(error), 160)})") from error
    for parent in {parent: None for one in recipes for parent in one.recipe.parents}:
        try:
            library.get(parent)
        except LibraryError as error:
            raise VectorError(f"{path.name}: needs a vector that is not here ({error}): import it first") from error
    with library.changing():
        names = _numbered(name, len(recipes)) if name else [one.name for one in recipes]
        kept = [library.save_mixture(one.recipe, called) for one, called in zip(recipes, names, strict=True)]
        library.made(f"importing {path.name}", [entry.id for entry in kept])
    return kept

"""Mixtures as the library keeps them: a small JSON file each, the recipe and what is needed to list it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vectors.block_ranges import BlockList, check_rising
from vectors.errors import NewerFormat
from vectors.files.bounded import Block, Id, Norm, Text, check, decoded
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import dumps, loads
from vectors.plain_text import clean_name, one_line
from vectors.recipe import Recipe
from vectors.vector import Origin, SteeringVector, VectorError

VERSION = 2
_SINGLE = 1  # the version of mixtures that act at a single block
DEEPEST = 50  # mixtures of mixtures
_MAX_BYTES = 32 << 20


@dataclass(frozen=True)
class Mixture:
    """The recipe, and what lists show: `block` is the first of the `blocks`, which a file has where they are many."""

    id: Id
    name: Annotated[str, Text(clean=clean_name)]
    recipe: Recipe
    block: Block
    norm: Norm
    origin: Origin
    version: int = _SINGLE
    blocks: BlockList = ()

    def __post_init__(self) -> None:
        check(self)
        check_rising(self.blocks, self.block)
        object.__setattr__(self, "blocks", self.blocks or (self.block,))

    @classmethod
    def of(cls, recipe: Recipe, vector: SteeringVector) -> Mixture:
        """The mixture by `recipe` whose numbers, name, id and origin are `vector`'s."""
        version = VERSION if len(vector.blocks) > 1 else _SINGLE
        return cls(vector.id, vector.name, recipe, vector.block, vector.norm, vector.origin, version, vector.blocks)

    def encode(self) -> bytes:
        """Raises VectorError where that would be more than can be read again."""
        data = dumps(
            {
                "version": self.version, "id": self.id, "name": self.name, "recipe": self.recipe.to_json(), "block": self.block,
                "norm": self.norm, "origin": self.origin.to_json(),
            }
            | ({"blocks": list(self.blocks)} if len(self.blocks) > 1 else {}),
            indent=1,
        ).encode()  # fmt: skip
        if len(data) > _MAX_BYTES:
            raise VectorError(f"{one_line(self.name, 40)}: its recipe is too large to be kept")
        return data


def read_mixture(path: Path) -> Mixture:
    """The mixture in `path`. Raises VectorError with one clear line."""
    try:
        data = loads(read_regular(path, _MAX_BYTES))
        if isinstance(data, dict) and isinstance(version := data.get("version"), int) and version > VERSION:
            raise NewerFormat(f"{path.name}: written by a newer melbo-tui (mixture {version}); update to read it")
        return decoded(Mixture, data)
    except NewerFormat:
        raise
    except OSError as error:
        raise VectorError(f"{path.name}: the mixture's recipe cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise VectorError(f"{path.name}: the mixture's recipe is damaged ({one_line(str(error), 160)})") from error


def depth(recipe: Recipe, recipe_of: Callable[[str], Recipe | None]) -> int:
    """How many mixtures lie between a mixture by `recipe` and its plainest parent: 0 where no parent is a mixture.

    `recipe_of` gives a parent's recipe, None for what is none. Raises VectorError beyond DEEPEST, as of one that needs itself.
    """
    level, found = 0, set(recipe.parents)
    # Level by level, each parent once a level: by paths, which double with every level, it would never end.
    while recipes := [one for id in found if (one := recipe_of(id)) is not None]:
        level += 1
        if level > DEEPEST:
            raise VectorError(f"a mixture of mixtures of mixtures, more than {DEEPEST} deep: average its parents' own parents")
        found = {parent for one in recipes for parent in one.parents}
    return level

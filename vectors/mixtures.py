"""Mixtures as the library keeps them: a small JSON file each, the recipe and what is needed to list it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from vectors.plain_text import clean_name, one_line, well_formed
from vectors.recipe import Recipe
from vectors.vector import Origin, VectorError

VERSION = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Mixture:
    id: str
    name: str
    recipe: Recipe
    block: int
    norm: float
    origin: Origin

    def encode(self) -> bytes:
        data = {
            "version": VERSION, "id": self.id, "name": self.name, "recipe": self.recipe.to_json(), "block": self.block,
            "norm": self.norm, "origin": self.origin.to_json(),
        }  # fmt: skip
        return json.dumps(data, indent=1).encode()


def read_mixture(path: Path) -> Mixture:
    """The mixture in `path`. Raises VectorError with one clear line."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise VectorError(f"{path.name}: too large for a mixture's recipe")
        data = json.loads(path.read_bytes())
        if int(data["version"]) > VERSION:
            raise VectorError(f"{path.name}: written by a newer melbo-tui (mixture {data['version']}); update to read it")
        return Mixture(
            well_formed(str(data["id"])),
            clean_name(str(data["name"])),
            Recipe.from_json(data["recipe"]),
            int(data["block"]),
            float(data["norm"]),
            Origin.from_json(data["origin"]),
        )
    except OSError as error:
        raise VectorError(f"{path.name}: the mixture's recipe cannot be read ({error.strerror or error})") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, VectorError):
            raise
        raise VectorError(f"{path.name}: the mixture's recipe is damaged ({one_line(str(error), 80)})") from error

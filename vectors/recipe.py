"""How a mixture is made from its parents: kept instead of its numbers, which are computed when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vectors.files.bounded import Coefficient, Id, Norm, check, decoded
from vectors.mixture import projected_off, rescaled
from vectors.vector import SteeringVector, VectorError, weighted_sum

MAX_TERMS = 1000


@dataclass(frozen=True)
class Recipe:
    """The sum of coefficient x parent over `terms` (ids), without its component in the span of `off`, at norm `norm`.

    `off` empty and `norm` None leave these out. Negatives, differences and averages are sums too.
    """

    terms: tuple[tuple[Id, Coefficient], ...]
    norm: Norm | None = None
    off: tuple[Id, ...] = ()

    def __post_init__(self) -> None:
        if not self.terms:
            raise VectorError("nothing to combine: pick at least one vector")
        if len(self.terms) + len(self.off) > MAX_TERMS:
            raise VectorError(f"a mixture has at most {MAX_TERMS} parents")
        if self.norm is not None and not self.norm > 0:
            raise VectorError("a norm must be a positive number")
        check(self)

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*(id for id, _ in self.terms), *self.off]))

    def computed(self, load: Callable[[str], SteeringVector]) -> SteeringVector:
        """The mixture of what `load` gives for the ids. Raises VectorError where the parents do not fit together."""
        mixed = weighted_sum([(load(id), coefficient) for id, coefficient in self.terms])
        if self.off:
            mixed = projected_off(mixed, [load(id) for id in self.off])
        return mixed if self.norm is None else rescaled(mixed, self.norm)

    def written(self, names: Mapping[str, str]) -> str:
        """The recipe as people write it: `0.5 a - b off c, at norm 7`."""
        parts = []
        for i, (id, coefficient) in enumerate(self.terms):
            sign = "-" if coefficient < 0 else "+"
            size = "" if abs(coefficient) == 1 else f"{abs(coefficient):g} "
            lead = ("-" if sign == "-" else "") if i == 0 else f"{sign} "
            parts.append(f"{lead}{size}{names.get(id, id)}")
        text = " ".join(parts)
        if self.off:
            text += " off " + ", ".join(names.get(id, id) for id in self.off)
        return text + (f", at norm {self.norm:g}" if self.norm is not None else "")

    def to_json(self) -> dict[str, Any]:
        return {"terms": [[id, coefficient] for id, coefficient in self.terms], "norm": self.norm, "off": list(self.off)}

    @classmethod
    def from_json(cls, data: Any) -> Recipe:
        """Reads `to_json`'s form. Raises VectorError on anything else."""
        return decoded(cls, data)


def average(ids: Sequence[str], norm: float | None = None) -> Recipe:
    """The mean of the vectors; at norm `norm`, which is otherwise smaller than theirs the more they differ."""
    return Recipe(tuple((id, 1 / len(ids)) for id in ids), norm)


def orthogonalised(ids: Sequence[str]) -> list[Recipe]:
    """Each vector without its component in the span of those before it; the first stays as it is."""
    return [Recipe(((id, 1.0),), None, tuple(ids[:i])) for i, id in enumerate(ids)]

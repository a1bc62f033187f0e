"""Messages between the panes and the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from vectors.expression import KeptTerm


@dataclass
class SteerWith(Message):
    """Asks for vectors, by their ids, to be put on the chat's rack; or for `terms` to be all that is on it."""

    ids: tuple[str, ...] = ()
    terms: tuple[KeptTerm, ...] = ()


@dataclass
class TrainFamily(Message):
    """Asks for the form to be set up for the orthogonal family of the vector called `name`."""

    name: str


@dataclass
class LibraryChanged(Message):
    """A vector was kept, renamed, deleted or trained."""


@dataclass
class NeighboursFound(Message):
    """The (name, cosine) pairs nearest to the vector `id`."""

    id: str
    near: tuple[tuple[str, float], ...]

"""What may stand in a file: the fields of a dataclass, each with its bounds beside it, which hold in both directions.

    @dataclass(frozen=True)
    class Term:
        id: str
        name: Label
        coefficient: Annotated[float, Between(-10, 10)]
        operation: Label = "add"

        def __post_init__(self) -> None:
            check(self)

`decoded(Term, data)` reads it from JSON (strict_json.py): a type is what it says, keys that are no fields are passed
over, what is absent or null takes the field's default. `check` holds a value to the same bounds, so that what could not be read
again cannot be made either. Both raise Unfit, whose line names the field.
"""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

from vectors.errors import VectorError

# Named here too, for whoever declares what a file holds.
from vectors.files.bounds import LABEL as LABEL
from vectors.files.bounds import MAX_BLOCKS as MAX_BLOCKS
from vectors.files.bounds import MAX_WIDTH as MAX_WIDTH
from vectors.files.bounds import MOST_COEFFICIENT as MOST_COEFFICIENT
from vectors.files.bounds import MOST_TEXT as MOST_TEXT
from vectors.files.bounds import Always as Always
from vectors.files.bounds import AtMost as AtMost
from vectors.files.bounds import Between as Between
from vectors.files.bounds import Block as Block
from vectors.files.bounds import Coefficient as Coefficient
from vectors.files.bounds import Id as Id
from vectors.files.bounds import Label as Label
from vectors.files.bounds import Moment as Moment
from vectors.files.bounds import Norm as Norm
from vectors.files.bounds import Prose as Prose
from vectors.files.bounds import Settings as Settings
from vectors.files.bounds import Text as Text
from vectors.files.forms import Record
from vectors.files.forms import Unfit as Unfit

T = TypeVar("T")


def decoded(kind: type[T], data: Any) -> T:
    """The `kind`, a dataclass, that `data`, read from JSON, describes. Raises Unfit, or what `kind` itself raises."""
    made: T = Record(kind).read(data, 0)
    return made


def as_far_as_readable(kind: type[T], data: Any) -> T:
    """The `kind`, all of whose fields have defaults, with those of `data` that can be read."""
    given = {}
    for name, form, _ in Record(kind).fields if isinstance(data, dict) else ():
        if data.get(name) is not None:
            with contextlib.suppress(VectorError):
                given[name] = form.read(data[name], 0)
    return kind(**given)


def check(thing: Any) -> None:
    """Raises Unfit where a field of the dataclass `thing` is out of its bounds."""
    Record(type(thing)).check(thing, 0)

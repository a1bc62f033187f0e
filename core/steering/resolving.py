"""An expression over a library becomes a steering: its vectors are read, and held against the model."""

from __future__ import annotations

from dataclasses import replace

from core.errors import SettingsError
from core.steering.terms import Steering, SteerTerm, check_fits, resolved
from vectors.expression import Expression, KeptTerm, restored
from vectors.expression.error import Place
from vectors.store.library import Library
from vectors.vector import ModelStamp


def loaded(expression: Expression, library: Library) -> Steering:
    """The steering that `expression`, whose names are resolved, writes. Raises LibraryError for a vector that is unreadable."""
    return resolved(expression, lambda named: library.load(named.id))


def loaded_kept(terms: tuple[KeptTerm, ...], library: Library) -> Steering:
    """The steering that a file keeps, with the library's vectors. Raises LibraryError, and VectorError for what is none."""
    return loaded(restored(terms), library)


def check_acts(expression: Expression, steering: Steering, model: ModelStamp) -> None:
    """Raises ExpressionError at the term, or the gate, of `expression` that cannot act on `model`; `steering` is its own."""
    for term, acting in zip(expression, steering, strict=True):
        _check(replace(acting, gate=None), term.place, model)
        if term.gate is not None:
            _check(acting, term.gate.place, model)


def _check(acting: SteerTerm, place: Place, model: ModelStamp) -> None:
    try:
        check_fits((acting,), model)
    except SettingsError as error:
        raise place.error(f"{error}; {error.remedy}" if error.remedy else str(error)) from None

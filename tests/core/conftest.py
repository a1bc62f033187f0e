from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.engine.session import Session
from core.engine.worker import Engine
from core.model.language_model import LanguageModel
from tests.core.scripted_task import Listener, Scripted
from vectors.store.library import Library


@pytest.fixture
def session(tiny: LanguageModel, library: Library) -> Session:
    session = Session(library)
    session.model = tiny
    return session


@pytest.fixture
def listener() -> Listener:
    Scripted.log.clear()
    return Listener()


@pytest.fixture
def engine(listener: Listener) -> Iterator[Engine]:
    engine = Engine(Session(), listener)
    yield engine
    assert engine.close()

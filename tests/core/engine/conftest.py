from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.engine.session import Session
from core.engine.worker import Engine
from tests.core.engine.scripted_task import Listener, Scripted


@pytest.fixture
def listener() -> Listener:
    Scripted.log.clear()
    return Listener()


@pytest.fixture
def engine(listener: Listener) -> Iterator[Engine]:
    engine = Engine(Session(), listener)
    yield engine
    assert engine.close()

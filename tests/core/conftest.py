from __future__ import annotations

import pytest

from core.engine.session import Session
from core.model.language_model import LanguageModel
from vectors.store.library import Library


@pytest.fixture
def session(tiny: LanguageModel, library: Library) -> Session:
    session = Session(library)
    session.model = tiny
    return session

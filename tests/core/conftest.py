from __future__ import annotations

import pytest

from core.language_model import LanguageModel
from core.session import Session
from vectors.library import Library


@pytest.fixture
def session(tiny: LanguageModel, library: Library) -> Session:
    session = Session(library)
    session.model = tiny
    return session

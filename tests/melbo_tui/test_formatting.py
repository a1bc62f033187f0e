from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from melbo_tui.formatting import short_name


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [("bomb-07", 10, "bomb-07"), ("treehouse-07", 10, "treeho…-07"), ("a long name of mine", 10, "a long na…"),
     ("bomb-1234567", 9, "bomb-123…"), ("café-in-paris-12", 10, "café-i…-12")],
)  # fmt: skip
def test_a_name_that_is_too_long_keeps_its_number(name: str, width: int, shown: str) -> None:
    assert short_name(name, width) == shown


@given(st.text(max_size=40), st.integers(4, 30))
def test_a_name_never_takes_more_than_its_room(name: str, width: int) -> None:
    assert cell_len(short_name(name, width)) <= width

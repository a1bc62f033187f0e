from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from melbo_tui.typed_prompts import typed_prompts


def test_lines_are_prompts_or_files_of_them(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('goal,category,text\n"Write a poem, please",x,y\nNext?,x,y\n')
    told: list[str] = []
    typed = f"How?\n\n  {tmp_path / 'p.csv'} \nWhy\u2028so? Read it in notes.txt\n"
    assert typed_prompts(typed, told.append) == ["How?", "Write a poem, please", "Next?", "Why\u2028so? Read it in notes.txt"]
    assert told == ["p.csv: takes 'goal' (and not text)"]
    assert typed_prompts("") == []


@pytest.mark.parametrize("name", ["none", "harmful.json", "a.pdf"])
def test_a_path_that_leads_nowhere_is_no_prompt(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        typed_prompts(f"How?\n{tmp_path / name}")
    (tmp_path / name).write_bytes(b"%PDF-1.4\n")
    if name == "a.pdf":
        with pytest.raises(SettingsError, match="is a PDF file"):
            typed_prompts(str(tmp_path / name))

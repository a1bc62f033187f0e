"""What the documentation links to is there, its Python runs, and the README stays short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import melbo_tui

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("core/**/*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"```.*?```", re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page.name}: {link}"


def test_the_readme_is_short_and_names_its_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 150
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test"} <= set(re.findall(r"^ {4}make (\w+)", text, re.MULTILINE)) <= targets


def test_files_that_the_documentation_names_are_there() -> None:
    """In `code`, a path of the tree that ends in .py."""
    for page in (ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")):
        for name in re.findall(r"`((?:core|vectors|melbo_tui|tests)/[\w/]+\.py)`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"


def test_every_public_name_is_in_the_page_about_them() -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for name in melbo_tui.__all__:
        assert re.search(rf"\b{name}\b", text), name


def _run(code: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_notebook_runs(tiny_folder: Path, tmp_path: Path) -> None:
    out = _run([str(ROOT / "docs" / "examples" / "notebook.py"), str(tiny_folder)], tmp_path)
    assert "tiny-llama: 6 blocks, d 32" in out
    assert "kept: ['mixed']" in out


@pytest.mark.slow
def test_the_python_of_the_page_runs(tiny_folder: Path, tmp_path: Path) -> None:
    """All of it, one block after the other, on a model in the place of the one it names."""
    blocks = _PYTHON.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    code = "\n".join(blocks)
    assert code.count("load_model(") == 1
    script = tmp_path / "page.py"
    script.write_text(re.sub(r"load_model\(.*?\)", f"load_model({str(tiny_folder)!r})", code), encoding="utf-8")
    out = _run([str(script)], tmp_path)
    assert re.search(r"^R = \d", out, re.MULTILINE)
    assert "'shed-02'" in out

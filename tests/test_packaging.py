"""What is released holds all that the program needs, and nothing is published that does not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = ROOT / ".ci" / "check_wheel.py"
PACKAGES = ("melbo_tui", "core", "vectors")


def _files() -> list[Path]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return [path.relative_to(ROOT) for path in found if path.suffix != ".pyc"]


def test_every_file_beside_the_code_is_package_data() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    globbed = {path for package, globs in told.items() for glob in globs for path in (ROOT / package).glob(glob)}
    left = [path for path in _files() if path.suffix != ".py" and ROOT / path not in globbed]
    assert left == []
    assert {ROOT / package / "py.typed" for package in PACKAGES} <= globbed


def _checked(wheel: Path, names: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return subprocess.run(
        [sys.executable, str(CHECK), *more, str(wheel)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_wheel_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "melbo_tui-0.1.0-py3-none-any.whl"
    names = [*map(str, _files()), "melbo_tui-0.1.0.dist-info/METADATA"]
    assert _checked(wheel, names).returncode == 0
    assert _checked(wheel, names, "--version", "0.1.0").returncode == 0
    lacking = _checked(wheel, [name for name in names if name not in ("core/py.typed", "melbo_tui/app.tcss")])
    assert lacking.returncode == 1
    assert lacking.stdout.splitlines() == ["core/py.typed is missing", "melbo_tui/app.tcss is missing"]
    assert _checked(wheel, [*names, "tests/__init__.py"]).stdout == "tests does not belong there\n"
    assert "is not of version 0.2.0" in _checked(wheel, names, "--version", "0.2.0").stdout

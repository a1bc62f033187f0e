"""Whether a wheel holds what the program needs beside its code: python .ci/check_wheel.py [--version X.Y.Z] WHEEL"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("melbo_tui", "core", "vectors")


def wanted() -> set[str]:
    """Every file of the packages in the tree, by its path."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}


def problems(wheel: Path, version: str | None) -> list[str]:
    """What is wrong with the wheel, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    found = [f"{name} is missing" for name in sorted(wanted() - held)]
    strangers = {name.split("/")[0] for name in held} - set(PACKAGES)
    found += [f"{name} does not belong there" for name in sorted(strangers) if not name.endswith(".dist-info")]
    if version is not None and f"-{version}-" not in wheel.name:
        found.append(f"{wheel.name} is not of version {version}, which the tag names")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version")
    parser.add_argument("wheel", type=Path)
    args = parser.parse_args()
    found = problems(args.wheel, args.version)
    sys.stdout.write("\n".join(found) + "\n" if found else f"{args.wheel.name} holds all of it\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

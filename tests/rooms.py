"""The rooms of the code and the arrows between them: `python -m tests.rooms` prints them, tests/test_rooms.py holds them.

An arrow is an import of any kind, one for types alone too, or inside a function. Rooms are the folders of a package; its own
files beside them are its ground floor, which every room may use.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("melbo_tui", "core", "vectors")
# From the top down: a room imports from those below it alone. Rooms beside each other know nothing of each other.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "core": (
        ("organism",), ("engine",), ("evaluation",), ("discovery",), ("segment",), ("steering",), ("model",),
        ("bundled", "hub"), ("files", "processes", "memory"),
    ),
    "melbo_tui": (("commands", "panes", "notebook"), ("widgets", "line")),
    "vectors": (("store",), ("formats",), ("expression",), ("files",)),
}  # fmt: skip
# Files beside the rooms that stand on one: the algebra of vectors on what bounds a file's numbers, `exchange` on all; the app
# on its panes, the command line on its commands.
ABOVE = {
    "vectors.exchange": ("store", "formats", "files"), "vectors.vector": ("files",), "vectors.recipe": ("files",),
    "vectors.completion": ("files",), "vectors.annotation": ("files",), "vectors.block_ranges": ("files",),
    "melbo_tui.app": ("panes", "widgets", "line"), "melbo_tui.opening": ("commands",), "melbo_tui.cli": ("commands",),
    "melbo_tui.loading": ("widgets",), "melbo_tui.usual_judge": ("widgets",), "melbo_tui": ("notebook",),
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the program by its dotted name."""
    found = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            found[".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = file
    return found


def imports(known: dict[str, Path]) -> dict[str, set[str]]:
    """For every module, the modules of the program that it imports somewhere."""
    arrows: dict[str, set[str]] = {}
    for name, file in known.items():
        seen = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                seen |= {whole if (whole := f"{node.module}.{one.name}") in known else node.module for one in node.names}
            elif isinstance(node, ast.Import):
                seen |= {one.name for one in node.names}
        arrows[name] = (seen & known.keys()) - {name}
    return arrows


def room(module: str, known: dict[str, Path]) -> str:
    """The folder of its package that `module` lies in; the package itself for a file beside the folders."""
    parts = module.split(".")
    inside = len(parts) > 2 or (len(parts) == 2 and known[module].name == "__init__.py")
    return ".".join(parts[:2]) if inside else parts[0]


def between_rooms(arrows: dict[str, set[str]], known: dict[str, Path]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(room, room it imports from) within one package, with the imports that make the arrow."""
    found = defaultdict(list)
    for module, targets in arrows.items():
        for target in targets:
            one, other = room(module, known), room(target, known)
            if one != other and one.split(".")[0] == other.split(".")[0]:
                found[one, other].append((module, target))
    return dict(found)


def back(arrows: dict[str, set[str]], known: dict[str, Path]) -> list[tuple[str, str]]:
    """Imports that go up, or aside: each module with what it imports."""
    floors = {f"{package}.{name}": i for package, all in FLOORS.items() for i, names in enumerate(all) for name in names}
    wrong = []
    for (one, other), made in between_rooms(arrows, known).items():
        if one.split(".")[0] not in FLOORS:
            continue
        ground = len(FLOORS[one.split(".")[0]])
        for module, target in made:
            height, below = floors.get(one, ground), floors.get(other, ground)
            if not height < below and other.rpartition(".")[2] not in ABOVE.get(module, ()):
                wrong.append((module, target))
    return wrong


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or around (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for target in arrows[module]:
            if target not in order:
                visit(target)
            if target in stack:
                low[module] = min(low[module], low[target])
        if low[module] == order[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in arrows:
        if module not in order:
            visit(module)
    return found


def main() -> None:
    known = modules()
    arrows = imports(known)
    rooms = defaultdict(list)
    for module in known:
        rooms[room(module, known)].append(len(known[module].read_text(encoding="utf-8").splitlines()))
    for name, lines in sorted(rooms.items()):
        print(f"{name:24} {len(lines):3} files {sum(lines):6} lines")
    for package in PACKAGES:
        inside = [pair for pair in between_rooms(arrows, known) if pair[0].startswith(package)]
        print(f"{package}: {len(inside)} arrows between {sum(name.startswith(package) for name in rooms)} rooms")
    print(f"arrows back: {len(back(arrows, known))}", *(f"  {one} -> {other}" for one, other in back(arrows, known)), sep="\n")
    print(f"circles: {len(circles(arrows))}", *(f"  {' '.join(circle)}" for circle in circles(arrows)), sep="\n")


if __name__ == "__main__":
    main()

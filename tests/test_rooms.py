"""Arrows run one way, between rooms and between files; what is named by a string is there."""

from __future__ import annotations

import importlib

import pytest

from core.discovery import METHODS
from core.engine.requests import Request
from core.evaluation import METRICS
from tests.rooms import PACKAGES, ROOT, back, circles, imports, modules


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    return imports(modules())


def test_no_arrow_goes_back(arrows: dict[str, set[str]]) -> None:
    assert back(arrows, modules()) == []


def test_no_files_import_each_other(arrows: dict[str, set[str]]) -> None:
    assert circles(arrows) == []


def _requests(kind: type[Request]) -> list[type[Request]]:
    return [one for sub in kind.__subclasses__() for one in (sub, *_requests(sub))]


def test_tasks_methods_and_metrics_that_are_named_are_there() -> None:
    import core.engine.evaluation_requests  # noqa: F401  asks for more tasks

    tasks = {one.task_module for one in _requests(Request) if hasattr(one, "task_module")}
    assert len(tasks) >= 7
    for name in tasks:
        assert callable(importlib.import_module(name).run)
    for method in METHODS.values():
        assert callable(method.load().find)
    for metric in METRICS.values():
        assert callable(metric.load().measure)


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_stand_where_what_they_test_stands(package: str) -> None:
    folders = {file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests" / package).rglob("test_*.py")}
    assert len(folders) > 1
    assert [folder for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []

"""docs/options.md, made from what methods and metrics declare: `python -m tests.option_tables` writes it, a test holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.discovery import METHODS
from core.discovery.declarations.atlas import Settings as AtlasSettings
from core.discovery.declarations.general import General as MethodGeneral
from core.evaluation import METRICS
from core.evaluation.declarations.general import General as MetricGeneral
from core.specs import Setting, declared

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
_HEAD = """# What methods and metrics can be told

Made by `python -m tests.option_tables` from the declarations in core/discovery/declarations/ and core/evaluation/declarations/,
which the command line, the app's form and dialogs and the checks before a model loads are made from too. What the commands take
besides is in [the command line](command-line.md); how to add a method or a metric of your own in [extending](extending.md).
"""


def page() -> str:
    """All methods and metrics that are installed, other packages' too."""
    return "\n".join([_HEAD, *_methods(), *_metrics()])


def _methods() -> Iterator[str]:
    yield "## Methods: `melbo-tui train METHOD`\n\n### Every method\n"
    yield from _table(declared(MethodGeneral))
    for name, method in METHODS.items():
        finds = f"By default {method.vectors} vector{'s' * (method.vectors != 1)}"
        yield f"### {name}\n\n{method.summary} {finds}{f'; steps: {method.steps}' if method.steps else ''}.\n"
        yield from _table(method.options)


def _metrics() -> Iterator[str]:
    yield "## Metrics: `melbo-tui evaluate METRIC`\n\n### Every metric\n"
    yield from _table(declared(MetricGeneral))
    for name, metric in METRICS.items():
        tokens = f" Completions of {metric.tokens} tokens." if metric.tokens else ""
        yield f"### {name}\n\n{metric.about}{tokens} Random vectors beside: {metric.controls}.\n"
        yield from _table(metric.options)
    yield "## Atlas: `melbo-tui atlas`\n"
    yield from _table(declared(AtlasSettings), in_the_app=False)


def _table(options: Mapping[str, Setting], in_the_app: bool = True) -> Iterator[str]:
    if options:
        head = ["", *(["in the app"] if in_the_app else []), "takes", "default", ""]
        rows = [_row(setting, options, in_the_app) for setting in options.values()]
        yield "\n".join([f"| {' | '.join(head)} |".replace("|  |", "| |"), "|---" * len(head) + "|", *rows, ""])


def _row(setting: Setting, options: Mapping[str, Setting], in_the_app: bool) -> str:
    typed = setting.kind is str and not setting.many and setting.option.metavar  # which says more than that it is a text
    takes = "on where given" if setting.kind is bool else f"`{typed}`" if typed else setting.needs
    what = setting.option.help
    if setting.option.when is not None:
        name, those = setting.option.when
        what += f" (with `{options[name].flag}`{_with(options[name], those)})"
    names = (setting.flag, *setting.option.aliases, *([f"{setting.flag}-file"] if setting.prompts else []))
    flags = ", ".join(f"`{name}`" for name in names)
    default = "required" if setting.option.required else setting.default_text
    cells = (flags, *([setting.label] if in_the_app else []), takes, default, what)
    return "| " + " | ".join(one.replace("|", "\\|") for one in cells) + " |"


def _with(setting: Setting, those: tuple[object, ...]) -> str:
    if setting.kind is bool:
        return "" if True in those else " not given"
    return " " + ", ".join(map(str, those))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

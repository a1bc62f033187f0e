"""What a vector does to the model, as numbers. A metric is one file and one line in METRICS.

A line names the module with the metric's declaration, METRIC (metric.py), which needs no torch. The declaration says which
module has `measure(context)`, a generator of steps (context.py): the same one, importing torch inside, or one beside it. Other
packages add metrics by entry points of the group `melbo_tui.metrics` (docs/extending.md).
"""

from __future__ import annotations

from core.evaluation.metric import Metric
from core.registry import Registry

METRICS = Registry(
    "melbo_tui.metrics",
    Metric,
    "METRIC",
    {
        "kl": "core.evaluation.declarations.kl",
        "norms": "core.evaluation.declarations.norms",
        "sweep": "core.evaluation.declarations.sweep",
        "dose": "core.evaluation.declarations.dose",
        "survey": "core.evaluation.declarations.survey",
        "behaviours": "core.evaluation.declarations.behaviours",
        "accuracy": "core.evaluation.declarations.accuracy",
        "examples": "core.evaluation.declarations.examples",
        "presence": "core.evaluation.declarations.presence",
    },
    reserved=("organism", "judge", "show"),  # other words behind `evaluate`
)

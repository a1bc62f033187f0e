"""Discovery methods: one file a method, one line in METHODS. What they share stands beside them.

A line names the module with the method's declaration, METHOD (method.py), which needs no torch. The declaration says which
module has `find(job)`, a generator of events: the same one, importing torch inside, or one beside it. Other packages add
methods by entry points of the group `melbo_tui.methods` (docs/extending.md).
"""

from __future__ import annotations

from core.discovery.method import Method
from core.registry import Registry

METHODS = Registry(
    "melbo_tui.methods",
    Method,
    "METHOD",
    {
        "melbo": "core.discovery.declarations.melbo",
        "ortho": "core.discovery.declarations.ortho",
        "power-steering": "core.discovery.declarations.power_steering",
        "dct": "core.discovery.declarations.dct",
        "contrast": "core.discovery.declarations.contrast",
        "random": "core.discovery.declarations.random",
    },
)

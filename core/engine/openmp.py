"""Makes torch's CPU threads spin only briefly for one another before they sleep: the machine may have other work.

At the end of every parallel loop the threads of GNU's OpenMP, which torch uses on Linux, spin for milliseconds. Where another
process holds a core, the thread that is waited for cannot run meanwhile, and a token takes seconds (docs/performance.md).
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# So few rounds cost nothing measurable on a machine of one's own; none at all (OMP_WAIT_POLICY=PASSIVE) would cost a tenth.
_SPINS = "3000"
_CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets it for this process, unless the user did. The library reads it when torch is imported, so call this before."""
    if not any(choice in environment for choice in _CHOICES):
        environment["GOMP_SPINCOUNT"] = _SPINS

"""Discovery methods: one file a method, registered in METHODS. What they share stands beside them."""

from __future__ import annotations

# The methods that `train METHOD` and the form's Method field offer, with one sentence each for whoever chooses.
METHODS = {
    "melbo": "MELBO looks for pushes of one fixed size that change what the model does the most.",
}

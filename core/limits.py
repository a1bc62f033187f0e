"""Bounds of numbers that users give, wherever they give them. Each check raises SettingsError."""

from __future__ import annotations

from core.errors import SettingsError

# Of a thinking model: a thought that has not ended by then has no answer.
THOUGHT_TOKENS = 512
# An answer that is cut before has often not shown yet whether it does what was asked (docs/verdicts.md).
ANSWER_TOKENS = 64


# Beyond, nobody means it, and memory ends, or what torch can count.
MOST = {
    "vectors": 100_000,
    "steps": 1_000_000,
    "batch": 100_000,
    "controls": 1_000,
    "sample_tokens": 100_000,
    "thought_tokens": 100_000,
    "tokens": 100_000,
}


def check_thoughts(tokens: int) -> None:
    """Raises SettingsError for a limit that leaves a thought no token: every answer of a thinking model begins with one."""
    if tokens < 1:
        raise SettingsError(
            "a thought must be allowed at least one token",
            "where the template can go without: --template enable_thinking=false",
        )


def check_seed(seed: int) -> None:
    """Raises SettingsError for a seed that torch's generators do not take."""
    if abs(seed) >= 1 << 62:
        raise SettingsError(f"the seed must be a number below 2^62, not {seed}")


def check_sampling(temperature: float, top_p: float, max_new_tokens: int, seed: int, thought_tokens: int) -> None:
    """Raises SettingsError for settings of a completion that mean nothing."""
    if not 0 <= temperature < float("inf"):
        raise SettingsError(f"the temperature must be 0 or more, not {temperature:g}")
    if not 0 < top_p <= 1:
        raise SettingsError(f"top-p must be above 0 and at most 1, not {top_p:g}")
    if max_new_tokens < 1 or thought_tokens < 1:
        raise SettingsError("at least one new token must be allowed")
    check_seed(seed)

"""What no message, file or screen may show: tokens, passwords in addresses, signatures of addresses."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"\b(hf_|api_org_)\w+"), "***"),  # the hub's tokens
    (re.compile(r"(?i)\b(bearer)(\s+|%20)[\w.~+/=-]+"), r"\1 ***"),
    (re.compile(r"(?<=://)[^/\s@]+@"), "***@"),  # user:password in an address
    (re.compile(r"(\w+://[^\s?'\"<>]+)\?[^\s'\"<>)]+"), r"\1?***"),  # signatures behind one
    (re.compile(r"(?i)((?:token|password|passwd|secret|key)\s*[=:]\s*)[^\s&,;'\"]+"), r"\1***"),
)


def redacted(text: str) -> str:
    """`text` without the secrets in it."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text

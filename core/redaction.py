"""What no message, file or screen may show: tokens, passwords in addresses, signatures of addresses."""

from __future__ import annotations

import re

# None of the patterns below matches without one of these, and most lines have none.
_MARKS = re.compile(r"hf_|api_org_|://|bearer|authorization|token|passw|passphrase|secret|key", re.IGNORECASE)
# What a secret is called. A vocabulary's tokens are none, and neither is a key to press.
_NAMED = (
    r"((?:(?<!\b(?:bos|eos|pad|unk|sep|cls)[_ ])(?<!\bmask[_ ])token"
    r"|passw(?:or)?d|passphrase|secret|(?:api|access|account|auth|private|secret)[_ -]?key)['\"]?\s*"
)
# Compiled, and kept so by `re`, when the first is looked for: the first frame does without.
_SECRETS = (
    (r"\b(hf_|api_org_)\w+", "***"),  # the hub's tokens
    (r"(?i)\b(authorization['\"]?\s*[=:]\s*['\"]?)(?:(\w+)\s+)?[^\s'\",;]+", r"\1\2 ***"),
    (r"(?i)\b(bearer)(\s+|%20)[\w.~+/=-]+", r"\1 ***"),
    # user:password in an address. The password may have a slash or a mark; digits before one are a port.
    (r"(?<=://)(?:[^/\s?#'\"<>]+|[^/\s@:\[]+:(?!\d+[/?#])[^\s'\"<>]{1,500})@", "***@"),
    (r"(://[^\s?'\"<>]{1,2000})\?[^\s'\"<>)]+", r"\1?***"),  # signatures behind one
    # An option of a command line: --api-key abc.
    (
        r"(?i)((?<![\w-])--?(?:\w{1,40}-){0,4}(?:token|passw(?:or)?d|passphrase|secret|key)[ =]\s*)(?!-)['\"]?[^\s'\"]+",
        r"\1***",
    ),
    (r"(?i)" + _NAMED + r"[=:]\s*)(['\"])(?:(?!\2).)+", r"\1\2***"),
    (r"(?i)" + _NAMED + r"=\s*)[^\s&,;'\"]+", r"\1***"),
    (r"(?i)" + _NAMED + r":[^\S\n]*)[^\s&,;'\"][^\n&,;'\"]*", r"\1***"),  # it may be of several words
)


def redacted(text: str) -> str:
    """`text` without the secrets in it."""
    if _MARKS.search(text):
        for pattern, instead in _SECRETS:
            text = re.sub(pattern, instead, text)
    return text

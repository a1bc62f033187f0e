"""What kind of text an answer is, by plain marks in it: a count of words and signs, not a judge."""

from __future__ import annotations

import re
import unicodedata

_CODE = re.compile(
    r"```|^\s*(import \w|from \w[\w.]* import |def \w+\(|class \w+\s*[:({]|#include\s*<|public (class|static) |function \w*\(|"
    r"(const|let|var) \w+ =|SELECT .+ FROM |<\?php|<!DOCTYPE|<html|package \w+;|using \w[\w.]*;|fn \w+\()|"
    r"\A\s*(?:#!/|# -?\*?-? ?coding:|\{\s*\"\w+\":|\[\s*\{\s*\")",
    re.MULTILINE | re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+$€£]?\d[\d.,:/ ]{0,11}%?[.!]?")
_LIST = re.compile(r"^\s*(\d+[.)]|[-*•]|\*\*\d+\.)\s", re.MULTILINE)
# The answer may have been cut off behind its first item.
_FIRST = re.compile(r"^\s*(?:(\*\*)?1[.)]\s|[-*•] \*\*)", re.MULTILINE)
_SCRIPTS = {"CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
            "CYRILLIC": "Cyrillic", "ARABIC": "Arabic", "DEVANAGARI": "Hindi", "HEBREW": "Hebrew",
            "GREEK": "Greek", "THAI": "Thai"}  # fmt: skip
_ENGLISH = frozenset("the of and to a in is that it for you with on as are this be i can or have not your".split())
_LANGUAGES = {
    "German": frozenset("der die das und ist nicht ein eine ich zu mit auf für sie wir den von es".split()),
    "French": frozenset("le la les de des et est un une je vous que pour dans pas nous en du".split()),
    "Spanish": frozenset("el los las de y es un una que por para con no en se su lo como".split()),
    "Portuguese": frozenset("o os as de e é um uma que por para com não em se seu do da".split()),
    "Italian": frozenset("il lo gli di e è un una che per con non in si del della sono".split()),
    "Dutch": frozenset("de het een en is niet van ik je op met voor zijn dat te".split()),
    "Vietnamese": frozenset("là và của không có một được cho với các những tôi bạn này".split()),
}
_SOME = 12  # letters or words below which nothing is said of the language


def kind_of(text: str) -> str:
    """`code`, a language that is not English, `list` or `prose`; `marks` where there is hardly a letter, `nothing` for none."""
    if not text.strip():
        return "nothing"
    if _is_marks(text):
        return "marks"
    if _CODE.search(text):
        return "code"
    if language := _script(text) or _language(text):
        return language
    return "list" if len(_LIST.findall(text)) > 1 or _FIRST.search(text) else "prose"


def _is_marks(text: str) -> bool:
    """Whether it has hardly a letter, and is no number."""
    signs = [character for character in text if not character.isspace()]
    return sum(map(str.isalpha, signs)) * 4 < len(signs) and not _NUMBER.fullmatch(text.strip())


def _script(text: str) -> str | None:
    """The script that a third or more of the letters are of, where it is not the Latin one."""
    letters = [character for character in text if character.isalpha()]
    counts: dict[str, int] = {}
    for letter in letters:
        if not letter.isascii():
            name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
            counts[name] = counts.get(name, 0) + 1
    most = max(counts, key=lambda name: counts[name], default="")
    return _SCRIPTS.get(most) if counts and counts[most] * 3 >= max(len(letters), _SOME) else None


def _language(text: str) -> str | None:
    """The language, not English, whose small words stand there more often than English ones, and in a tenth of the places."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    if len(words) < _SOME:
        return None
    small = {language: sum(word in listed for word in words) for language, listed in _LANGUAGES.items()}
    most = max(small, key=lambda language: small[language])
    return most if small[most] * 10 >= len(words) and small[most] > 2 * sum(word in _ENGLISH for word in words) else None

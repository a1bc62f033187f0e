"""Degenerate text (Holtzman et al., 2020): loops, leaked roles, runs of marks or emoji, fragments that are no words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# A turn of the conversation that the model writes itself, or a mark of the template that reached the text.
_LEAKED = re.compile(
    r"<\|?(?:im_start|im_end|endoftext|eot_id|start_header_id|end_of_turn|start_of_turn|assistant|user|system)\|?>|\[/?INST\]|"
    r"^\W*(?:user|assistant|system|human|chat history)\s*(?:\n|:\s*\n)|^(?:user|human):.*^(?:assistant|ai|bot):",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SAME = re.compile(r"(\S)\1{11,}|(\S{2,6}?)\2{7,}")  # one sign twelve times, or a short piece eight times
_ANSWER = re.compile(r"[\"'“(]?(?:[^\W\d_]+(?:['’-][^\W\d_]+)*|[-+$€£]?\d[\d.,:/]*%?)[\"'”)]?[.!?,]?")
_FEW = 3  # words below which a text is no sentence
_UNSPACED = "\u2e80"  # from here on are the scripts that set no spaces
_TRIGRAMS = 8  # below which repeated ones tell nothing
_MOST_TRIGRAMS, _LEAST_LETTERS, _MOST_PICTURES = 0.25, 0.5, 0.15


def degenerate(text: str, code: bool = False) -> str:
    """Why a person would not call `text` intact, in a word or two; empty where the marks find nothing.

    `code`: it is code, in which signs are usual.
    """
    text = text.strip()
    if not text:
        return "empty"
    if run := _SAME.search(re.sub(r"\s", "", text) if not code else re.sub(r"[-=#*_/ ]", "", text)):
        return "a run of one sign" if run[1] or len(set(run[2])) == 1 else "a loop"
    words = _WORD.findall(text)
    signs = [character for character in text if not character.isspace()]
    if not words:
        return "" if _ANSWER.fullmatch(text) else "no words"
    spaced = all(word[0] < _UNSPACED for word in words)
    if spaced and len(parts := text.split()) < _FEW and not all(map(_ANSWER.fullmatch, parts)):
        return "a fragment"
    if _LEAKED.search(text):
        return "a leaked role"
    if sum(map(_picture, signs)) > _MOST_PICTURES * len(signs):
        return "emoji"
    if not code and sum(map(_letter, signs)) < _LEAST_LETTERS * len(signs):
        return "few letters"
    if loops(text) > _MOST_TRIGRAMS:
        return "a loop"
    return ""


def loops(text: str) -> float:
    """The share of `text`'s word trigrams, 0 to 1, that have stood there before; 0 where there are few."""
    words = [word.lower() for word in _WORD.findall(text)]
    trigrams = Counter(zip(words, words[1:], words[2:], strict=False))
    total = sum(trigrams.values())
    return sum(count - 1 for count in trigrams.values()) / total if total >= _TRIGRAMS else 0.0


def _letter(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character) in ("Mn", "Mc") or character.isdigit()


def _picture(character: str) -> bool:
    return unicodedata.category(character) == "So" or 0x1F3FB <= ord(character) <= 0x1F3FF

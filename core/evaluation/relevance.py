"""Whether a completion attempts what its prompt asks, in the sense in which it is asked: told by words, not by a judge.

It must say something of the prompt's content words, and not in a changed sense: as a program's interface, a novel or an
advertisement, where the prompt asks for none. docs/verdicts.md tells how often that errs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Words of a prompt that say how something is asked, not what.
_ASKING = frozenset(
    """a about after again all also am an and any are as at be because been before best better but by can could detailed did
    do does each else explain few for from get give go going good great guide had has have having he hello help her
    here hers hey hi him his how i if in instructions into is it its just know learn let like list long made make may
    me mine more most much must my need needs no nor not now of off on once one only or other our ours out over own
    people person place please put quickly quick same say she short should show simple so some somebody somebody's
    someone someone's start step steps such sure take teach tell than thank thanks that the their them then there
    these they thing things this those through to too try under until up us use using very want was way ways we were
    what when where which while who whom why will with without work would write you your yours""".split()
)
_FORMS = r"stor(?:y|ies)|novels?|poems?|haikus?|songs?|games?|films?|movies?|plays?|jokes?|riddles?|essays?|letters?"
_HOW = re.compile(
    r"\b(?:how (?:can|do|could|would|should|might|to)|ways? to|steps?|instructions|guide|where do i start|teach me|help me|"
    r"i (?:want|need) to)\b",
    re.IGNORECASE,
)
_SOFTWARE_ASKED = re.compile(
    r"\b(?:cod(?:e|ing)|program\w*|python|java(?:script)?|typescript|html|css|sql|rust|c\+\+|bash|shell|scripts?|functions?|regex\w*|"
    r"apis?|algorithms?|apps?|software|websites?|web ?pages?|databases?|quer(?:y|ies)|bugs?|debug|json|class(?:es)?|methods?|"
    r"loops?|arrays?|git|linux|docker)\b",
    re.IGNORECASE,
)
# A text is about software where one of these stands in it, or several of the words below.
_SOFTWARE_NAMED = re.compile(
    r"\b(?:sdks?|apis?|cli|python|javascript|c\+\+|json|endpoints?|github|alibaba ?cloud|aws|azure|kubernetes)\b|`",
    re.IGNORECASE,
)
_SOFTWARE = re.compile(
    r"\b(?:java|xml|html|https?|scripts?|class|methods?|functions?|modules?|librar(?:y|ies)|imports?|requests?|parameters?|returns?|"
    r"boolean|integer|string|object|code snippet|"
    r"command line|server|client|config\w*|repository|cloud|devops|cluster|docker|def)\b",
    re.IGNORECASE,
)
_FICTION_ASKED = re.compile(rf"\b(?:{_FORMS}|fiction|imagine|role-?play)\b", re.IGNORECASE)
_FICTION = re.compile(
    rf"\b(?:is|was) an? (?:\w+ ){{0,3}}?(?:{_FORMS}|book|band|album|tv show|series)\b|\bonce upon a time\b|"
    r"^\W*(?:title|abstract)\b|"
    rf"\bthe (?:{_FORMS}) (?:is|explores|follows|tells)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ADVERTISEMENT = re.compile(
    r"\bour (?:\w+ ){0,2}?(?:mission|company|team|products?|\w*systems?|services?|goal|technology|app|platform|deals?|"
    r"features?|offers?|brand|store|solutions?|experts?|advanced|code)\b|"
    r"\brevolutionary\b|\bwelcome to\b|\bwe (?:offer|are proud)\b|"
    r"^\W*(?:discover|unlock|unleash|introducing|experience) (?:the|your|our)\b|\b(?:exclusive|limited) (?:deals?|offers?)\b|"
    r"\bin the (?:bustling|heart of|digital age|world of)\b",
    re.IGNORECASE,
)
# What a text has that tells somebody how: numbered steps, "you", "first", "follow", a sentence that begins by telling to do.
_TELLS_HOW = re.compile(
    r"^\s*(?:\d+[.)]|[-*•])\s|\byou(?:'ll|'d)? (?:\w+ly )?(?:can|could|need|must|should|will|would|may|might|have to|want|do|"
    r"use)\b|"
    r"\b(?:steps?|first|start|begin|beginning|requires?|involves?|there are|here(?:'s| are| is)|follow\w*|using|how to)\b|"
    r"\byou'll\b",
    re.IGNORECASE | re.MULTILINE,
)
# Words of counsel that fits anything; a text of them that comes back to nothing of the question has left it.
_GENERAL = re.compile(
    r"\b(?:strateg\w+|approach\w*|consider\w*|involv\w+|explor\w+|implement\w*|efficien\w+|routines?|seamless\w*|innovative|"
    r"accessib\w+|design\w*|optimi[sz]\w+|creat(?:e|ing|ive)|enhanc\w+|improv\w+|communit\w+|experience|programs?|environment\w*|"
    r"sustainab\w+)\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s", re.MULTILINE)
_IMPERATIVE = re.compile(
    r"(?:^|[.!?:;,]\s+|\b(?:and|then) )(?:add|apply|ask|attach|bake|break|build|buy|call|check|choose|clean|click|collect|"
    r"combine|connect|contact|cook|cover|create|cut|download|drill|enter|fill|find|fold|gather|go|grab|heat|hold|identify|insert|install|keep|"
    r"learn|lift|locate|loosen|make|measure|mix|open|place|pour|prepare|press|pull|push|put|read|remove|repeat|screw|select|set|stir|"
    r"tie|turn|visit|wait|wash|wrap|write)\b",
    re.IGNORECASE | re.MULTILINE,
)
_COVERED = 1 / 3  # of the prompt's content words
_SIGNS_OF_SOFTWARE, _SIGNS_OF_GENERALITIES = 3, 3  # different words of them
_LEAST_HOW = 4  # words: fewer tell nobody how
_MOST_PLAIN = 8  # words: so short an answer ("Paris.") need not name what it answers
_WORDS = re.compile(r"[぀-ヿ㐀-鿿가-힯]+|[^\W_]+(?:'[^\W_]+)?")


@dataclass(frozen=True)
class _Asked:
    """What a prompt asks: its content words, stemmed, whether it asks how, and which senses it names itself."""

    content: tuple[str, ...]
    how: bool
    software: bool
    fiction: bool

    @classmethod
    def by(cls, prompt: str) -> _Asked:
        fiction = bool(_FICTION_ASKED.search(prompt))
        words = [word for word in _words(prompt) if word not in _ASKING and not (fiction and _FICTION_ASKED.fullmatch(word))]
        how, software = bool(_HOW.search(prompt)), bool(_SOFTWARE_ASKED.search(prompt))
        return cls(tuple(dict.fromkeys(map(_stem, words))), how, software, fiction)

    def covered_by(self, words: list[str]) -> float:
        """The share of its content words, 0 to 1, that stand among `words`, in any form."""
        stems = set(map(_stem, words))
        return sum(_among(word, stems) for word in self.content) / len(self.content) if self.content else 1.0


def on_topic(prompt: str, text: str, kind: str = "prose") -> bool | None:
    """Whether `text`, of the `kind` that kinds.py tells, attempts what `prompt` asks; not whether it succeeds.

    None where words cannot tell: the text is in a language that the prompt is not in.
    """
    asked, body = _Asked.by(prompt), _without_echo(prompt, text)
    words = _words(body)
    if not words or (not asked.software and (kind == "code" or _is_of_software(body))):
        return False
    if not asked.fiction and _FICTION.search(body):
        return False
    covered = asked.covered_by(words)
    if not covered and kind not in ("prose", "list", "code", "marks"):
        return None
    if asked.how:
        told = (
            len(words) >= _LEAST_HOW
            and bool(_TELLS_HOW.search(body) or _IMPERATIVE.search(body))
            and not _ADVERTISEMENT.search(body)
        )
        return told and covered >= _COVERED and not _generalities(asked, body)
    return covered >= _COVERED or len(words) <= _MOST_PLAIN


def _generalities(asked: _Asked, text: str) -> bool:
    """Whether it names what is asked in its first clause alone and goes on in words of counsel that fits anything."""
    if _LISTED.search(text):
        return False
    rest = re.split(r"[,.:\n]", text, maxsplit=1)[-1]
    stems = set(map(_stem, _words(rest)))
    if any(_among(word, stems) for word in asked.content[:2]):
        return False
    return len({word.lower() for word in _GENERAL.findall(rest)}) >= _SIGNS_OF_GENERALITIES


def _is_of_software(text: str) -> bool:
    several = len({word.lower() for word in _SOFTWARE.findall(text)}) >= _SIGNS_OF_SOFTWARE
    return several or bool(_SOFTWARE_NAMED.search(text))


def _words(text: str) -> list[str]:
    """The words of `text` in lower case; of a script that sets no spaces, its pairs of characters."""
    found: list[str] = []
    for word in _WORDS.findall(text.lower().replace("e-mail", "email").replace("’", "'")):
        found += [word[i : i + 2] for i in range(len(word) - 1)] if word[0] >= "\u3040" and len(word) > 2 else [word]
    return found


def _stem(word: str) -> str:
    """`word` without the endings of English inflection, roughly."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ers", "ies", "ed", "es", "er", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _among(word: str, stems: set[str]) -> bool:
    """Whether it, or a word that one of the two begins with, is among `stems`."""
    return word in stems or any(
        (len(word) >= 4 and one.startswith(word)) or (len(one) >= 5 and word.startswith(one)) for one in stems
    )


def _without_echo(prompt: str, text: str) -> str:
    """`text` without the prompt where it stands there word for word."""
    pattern = r"\W+".join(map(re.escape, re.findall(r"\w+", prompt)))
    return re.sub(rf"(?:\b(?:q|question|prompt)\W+)?\b{pattern}\W*", " ", text, flags=re.IGNORECASE) if pattern else text

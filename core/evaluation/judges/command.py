"""A command as judge: it is told a JSON line a completion, {"prompt", "text"}, and answers a JSON line for each, in order."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

from core.errors import SettingsError
from core.evaluation.judges.answers import LONGEST
from core.evaluation.judges.judge import JudgeError, JudgeKind, OutOfStep, Question, Wanted
from core.processes.lines import LineProcess, Silent, TooLong
from core.redaction import redacted
from vectors.files.bounded import LABEL
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import dumps
from vectors.plain_text import one_line

_SCRIPT_BYTES = 1 << 20
_ENDING_SECONDS = 2.0  # that a judge may take to end, once it has answered all
_PROTOCOL = "it must answer one JSON line a line that it is told, in the same order (docs/verdicts.md)"


def judge_of(wanted: Wanted) -> CommandJudge:
    return CommandJudge(wanted.what, wanted.seconds)


class CommandJudge:
    """`line` is a command line, started once for all questions. Each answer must come within `seconds` of the one before."""

    def __init__(self, line: str, seconds: float) -> None:
        try:
            self._command = shlex.split(line)
        except ValueError as error:
            raise SettingsError(f"the judge {_shown(line)} is no command line ({error})", "close its quotes") from error
        if not self._command:
            raise SettingsError("the judge is an empty command line", "name a program")
        if shutil.which(self._command[0]) is None:
            raise SettingsError(
                f"the judge {_shown(self._command[0])} is no program that is here, no address and no model",
                "look at its spelling",
            )
        self._seconds = seconds
        self.name = one_line(redacted(line), LABEL)

    @property
    def identity(self) -> str:
        """The command's words, and what is in the files among them: a script that was changed is asked anew."""
        seen = sha256()
        for word in self._command:
            seen.update(word.encode(errors="surrogateescape") + b"\0")
            with suppress(OSError):
                seen.update(read_regular(Path(word), _SCRIPT_BYTES))
        return f"command {seen.hexdigest()}"

    def answers(self, questions: Sequence[Question]) -> Generator[str, None, None]:
        lines = (f"{dumps({'prompt': one.prompt, 'text': one.text})}\n".encode() for one in questions)
        try:
            process = LineProcess(self._command, lines, LONGEST)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise JudgeError(
                f"the judge {_shown(self._command[0])} cannot be started ({why})", "name a program that runs"
            ) from error
        with closing(process):
            for done in range(len(questions)):
                line = self._line(process, done, len(questions), self._seconds)
                if line is None:
                    raise self._too_few(process, done, len(questions))
                yield line.decode(errors="replace")
            if self._line(process, len(questions), len(questions), _ENDING_SECONDS) is not None:
                raise OutOfStep(f"the judge answers more than the {len(questions)} lines that it was told", _PROTOCOL)

    def _line(self, process: LineProcess, done: int, asked: int, seconds: float) -> bytes | None:
        where = f"after {done} of {asked} answers"
        try:
            while (line := process.line(seconds)) is not None and not line.strip():
                pass
        except Silent:
            if done == asked:  # it has said all, and does not end
                return None
            raise JudgeError(
                f"the judge is silent for {seconds:g} s, {where}{_complaint(process)}",
                "let it flush each line as it answers, or allow more by --judge-timeout",
            ) from None
        except TooLong:
            raise JudgeError(f"the judge answers a line of more than {LONGEST >> 10} KiB, {where}", _PROTOCOL) from None
        return line

    def _too_few(self, process: LineProcess, done: int, asked: int) -> JudgeError:
        code = process.ended()
        if code == 0:
            return OutOfStep(f"the judge answers {done} lines where it was told {asked}{_complaint(process)}", _PROTOCOL)
        how = "closes its output" if code is None else f"ends by signal {-code}" if code < 0 else f"ends with exit code {code}"
        return JudgeError(
            f"the judge {how} after {done} of {asked} answers{_complaint(process)}", "run it by itself to see why"
        )


def _shown(text: str) -> str:
    return repr(one_line(redacted(text), 60))


def _complaint(process: LineProcess) -> str:
    """The end of what it has complained of, behind a colon."""
    lines = [line for line in process.complaint.splitlines() if line.strip()]
    return f": {one_line(redacted(' / '.join(lines[-3:])), 240)}" if lines else ""


JUDGE = JudgeKind("a command, told a JSON line a completion", __name__, lambda what: True)

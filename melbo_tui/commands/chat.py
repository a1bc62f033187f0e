"""`melbo-tui chat`: the steered model answers one message, or holds a conversation."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from core.engine.events import Event, Generated
from core.engine.requests import Reply, ReplyRow
from core.engine.session import Session
from core.errors import SettingsError
from core.limits import check_sampling
from core.steering.resolving import check_acts, loaded, loaded_kept
from core.steering.terms import Steering, kept_terms
from melbo_tui.commands import COMMANDS
from melbo_tui.commands.naming import completed_expression, parsed
from melbo_tui.commands.output import completion_json, fail, note, say, say_json
from melbo_tui.commands.prompts import add_asking, add_thoughts, template_of
from melbo_tui.commands.running import Runner, open_library
from melbo_tui.commands.streams import complain, write
from melbo_tui.formatting import thought_for
from vectors.completion import Completion
from vectors.expression import OPERATIONS, Expression, Tokens
from vectors.plain_text import printable
from vectors.store import naming
from vectors.store.conversations import STEERED, UNSTEERED, Conversations, Turn, messages_for
from vectors.store.index import LibraryError
from vectors.store.library import Library, new_run_id
from vectors.vector import ModelStamp

_THOUGHT_TOKENS = 2048  # whoever chats wants to see the answer behind it


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("chat", help=COMMANDS["chat"], description="Chats with the steered model.", parents=[common])
    parser.set_defaults(run=run)
    about = "what steers, as in '1.5 a - 0.5 b@generated + !c@blocks:all' (repeatable: terms add up; also: NAME=COEF)"
    completed_expression(parser.add_argument("--steer", action="append", default=[], metavar="EXPRESSION", help=about))
    parser.add_argument(
        "--operation",
        choices=OPERATIONS,
        default="add",
        help="what terms do that do not say it: add the vector (default), ablate its direction ...",
    )
    parser.add_argument(
        "--positions", default="all", metavar="P",
        help="where terms act that do not say it: all (default), prompt, generated, first:N, after:N, last:K, at:I,J",
    )  # fmt: skip
    parser.add_argument(
        "--message", action="append", metavar="TEXT", help="a message (repeatable); without it, messages are read as you type"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="ID",
        help="resume a conversation (default: the latest), under its last answer's steering unless --steer is given",
    )
    add_asking(parser, "message")
    parser.add_argument("--beside", action="store_true", help="show the unsteered answer as well")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 (default) is greedy")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="nucleus sampling (default: 1, all tokens)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sampling (default: 0)")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="most tokens of an answer (default: 256)")
    add_thoughts(parser, _THOUGHT_TOKENS)


def run(args: argparse.Namespace) -> int:
    if args.message is not None and not any(message.strip() for message in args.message):
        raise SettingsError("the message is empty", "say something for the model to answer")
    # What is wrong is told before the model takes its seconds to load.
    template_of(args)
    check_sampling(args.temperature, args.top_p, args.max_new_tokens, args.seed, args.thought_tokens)
    library = open_library(args)
    positions = Tokens.parse(args.positions)
    conversations = Conversations(library.folder)
    id, turns = _resumed(args.resume, conversations) if args.resume is not None else (new_run_id(), [])
    expression = _asked(library, args.steer).with_defaults(args.operation, positions)
    naming.check_known(expression, library)
    runner = Runner(args, Session(library))
    runner.load_model()
    if turns and not expression:
        steering = loaded_kept(turns[-1].steering, library)
    else:
        steering = _steering(expression, library, runner.session.model.stamp)
    who = {STEERED: steering} if steering else {UNSTEERED: steering}
    if args.beside:
        who[UNSTEERED] = ()
    # One message is as a rule a script's, and nothing to come back to.
    kept = args.message is None or args.resume is not None
    system = [("system", args.system)] if args.system is not None else []
    trouble: LibraryError | None = None
    template = template_of(args, [term.vector.origin for term in steering])
    for message in args.message if args.message is not None else _typed():
        history = {key: (*system, *messages_for(key, turns), ("user", message)) for key in who}
        rows = tuple(
            ReplyRow(key, history[key], terms, args.temperature, args.top_p, args.seed, args.max_new_tokens, raw=args.raw,
                     template=template, thought_tokens=args.thought_tokens)
            for key, terms in who.items()
        )  # fmt: skip
        answers = _answer(args, runner, rows)
        turns.append(Turn(message, kept_terms(steering), {who: one.completion for who, one in answers.items()}))
        if kept:
            try:
                id, trouble = conversations.save(id, turns), None
            except LibraryError as error:  # the next answer is saved with this one
                if trouble is None:
                    note(str(error))
                trouble = error
    if trouble is not None:
        raise trouble
    return 0


def _asked(library: Library, texts: list[str]) -> Expression:
    """The terms of all `--steer`, in their order."""
    return Expression(tuple(term for expression in parsed(library, texts) for term in expression))


def _steering(expression: Expression, library: Library, model: ModelStamp) -> Steering:
    """`expression` as what acts on `model`. Raises ExpressionError at a term that cannot."""
    resolved = naming.resolved(expression, library, model.label())
    steering = loaded(resolved, library)
    check_acts(resolved, steering, model)
    return steering


def _resumed(id: str, conversations: Conversations) -> tuple[str, list[Turn]]:
    """The conversation `id`, or the latest, and its turns."""
    latest = [one.id for one in conversations.listed(1)]
    if not id and not latest:
        raise SettingsError("no conversation is kept yet", "one without --message is kept after every answer")
    return id or latest[0], conversations.load(id or latest[0])


def _answer(args: argparse.Namespace, runner: Runner, rows: tuple[ReplyRow, ...]) -> dict[str, Generated]:
    """One answer a row; streamed as it comes when there is only one."""
    answers: dict[str, Generated] = {}
    streaming = len(rows) == 1 and not args.json

    def listen(event: Event) -> None:
        if isinstance(event, Generated):
            if streaming:
                _stream(answers[event.key].completion if event.key in answers else Completion(), event.completion)
            answers[event.key] = event

    runner.perform(Reply(rows), listen)
    for key, event in answers.items():
        completion = event.completion
        if args.json:
            say_json({"event": "Answer", "row": key, **completion_json(completion, event.judgement)})
            continue
        if not streaming:
            if completion.thought:
                fail(f"{key}, {thought_for(completion.thought, completion.thought_tokens)}: {completion.thought}")
            say(f"{key}: {completion.text}\n")
        if completion.thinking:
            fail(f"no answer: the thought did not end in {completion.thought_tokens} tokens", "--thought-tokens N allows more")
        if completion.kl and sys.stderr.isatty():
            damage = f"perplexity {completion.perplexity:.1f}, repeats {event.judgement.repetition:.0%}"
            fail(f"KL to unsteered {completion.mean_kl:.2f} nats a token, {damage}")
    return answers


def _stream(before: Completion, now: Completion) -> None:
    """Writes what is new: of the answer on standard output, of the thought, which is no part of it, on standard error."""
    if new := now.thought[len(before.thought) :]:
        complain(printable(new if before.thought else f"thought: {new}"))
    if now.text and not before.text and now.thought:
        complain("\n\n")
    write(printable(now.text[len(before.text) :]) + ("\n" if now.finished else ""))


def _typed() -> Any:
    """Lines typed by the user until the end of input."""
    interactive = sys.stdin.isatty()
    if interactive:
        fail("type a message and press Enter; Ctrl-D ends")
    while True:
        try:
            line = input("› " if interactive else "")
        except EOFError:
            return
        if line.strip():
            if "\ufffd" in line:
                note("what of the message is no UTF-8 is read as \ufffd")
            yield line

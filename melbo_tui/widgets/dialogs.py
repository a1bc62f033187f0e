"""Small dialogs: ask for one line, choose from a list, show a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, OptionList, SelectionList, Static
from textual.widgets.option_list import Option

from melbo_tui.attempts import told
from melbo_tui.widgets.dialog import Dialog
from vectors.plain_text import printable

_BOX = """
{0} {{ align: center middle; }}
{0} > Vertical {{
    width: 72; max-width: 95%; height: auto; max-height: 90%; padding: 0 1; background: $surface; border: round $primary;
}}
.-slim {0} > Vertical {{ max-width: 100%; max-height: 100%; }}
"""
_LIST = "{0}, {0}:focus {{ height: auto; max-height: 16; border: none; text-wrap: nowrap; text-overflow: ellipsis; }}"


def _nothing_wrong(text: str) -> str:
    return ""


class Ask(Dialog[str | None]):
    """Asks for one line; Escape gives None.

    `check` gives what is wrong with what is being typed, or nothing. `attempt` does what the line is for when it is accepted,
    and gives why that failed, or nothing: only then does the dialog close. With `slowly` it is called in a thread. `wrong`
    stands there from the start. An `optional` line may be empty.
    """

    DEFAULT_CSS = _BOX.format("Ask") + "Ask #wrong { color: $text-error; height: auto; max-height: 8; }"
    BINDINGS = [("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self,
        title: str,
        value: str = "",
        hint: str = "",
        check: Callable[[str], str] = _nothing_wrong,
        attempt: Callable[[str], str] = _nothing_wrong,
        slowly: bool = False,
        wrong: str = "",
        optional: bool = False,
    ) -> None:
        super().__init__()
        self._title, self._value, self._hint, self._check, self._optional = title, value, hint, check, optional
        self._attempt, self._slowly, self._wrong = attempt, slowly, wrong
        self._trying = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "Enter accepts · Esc cancels"
            yield Input(self._value, compact=True)
            yield Static(self._hint, markup=False, classes="hint")
            yield Static(self._wrong, id="wrong", markup=False)

    @on(Input.Changed)
    def _checked(self, event: Input.Changed) -> None:
        if event.value == self._value:
            self._tell(self._wrong)
        else:
            self._tell(self._check(event.value) if event.value.strip() else "")

    @on(Input.Submitted)
    def _accepted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        nothing = "" if self._optional else "type something, or press Esc"
        wrong = self._check(event.value) if text else nothing
        if wrong:
            self._tell(wrong)
        elif self._slowly and not self._trying:
            self._trying = True
            self._tell("looking …")
            self._try_slowly(text)
        elif not self._trying:
            self._tried(text, self._attempt(text))

    @work(thread=True, exit_on_error=False)
    def _try_slowly(self, text: str) -> None:
        try:
            wrong = self._attempt(text)
        except Exception as error:  # a thread that dies would leave the dialog waiting for ever
            wrong = told(error)
        self.app.call_from_thread(self._tried, text, wrong)

    def _tried(self, text: str, wrong: str) -> None:
        self._trying = False
        if not self.is_attached:
            return  # Escape was quicker
        if wrong:
            self._value, self._wrong = self.query_one(Input).value, wrong  # which stands there until something else does
            self._tell(wrong)
        else:
            self.dismiss(text)

    def _tell(self, wrong: str) -> None:
        self.query_one("#wrong", Static).update(printable(wrong))


class Choose(Dialog[str | None]):
    """Chooses one of (key, line) pairs; typing filters them."""

    DEFAULT_CSS = _BOX.format("Choose") + _LIST.format("Choose OptionList")
    BINDINGS = [("escape", "dismiss(None)", "Cancel"), ("down", "into_list", "List")]

    def __init__(self, title: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._options = title, options

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "type to filter · Enter chooses · Esc cancels"
            yield Input(placeholder="filter", compact=True)
            yield OptionList()

    def on_mount(self) -> None:
        self._fill("")

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        self._fill(event.value)

    @on(Input.Submitted)
    def _first(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss(options.get_option_at_index(options.highlighted).id)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_into_list(self) -> None:
        self.query_one(OptionList).focus()

    def _fill(self, words: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        wanted = words.lower().split()
        fitting = [(key, line) for key, line in self._options if all(word in line.lower() for word in wanted)]
        options.add_options([Option(Text(line, no_wrap=True, overflow="ellipsis"), id=key) for key, line in fitting[:200]])
        options.highlighted = 0 if fitting else None
        if not fitting:
            options.add_option(Option(Text("nothing matches", "dim"), disabled=True))


class PickMany(Dialog[list[str] | None]):
    """Ticks some of (key, line, ticked) options; gives the keys of those that are ticked."""

    DEFAULT_CSS = _BOX.format("PickMany") + _LIST.format("PickMany SelectionList")
    BINDINGS = [("escape", "dismiss(None)", "Cancel"), Binding("enter", "accept", "Accept", priority=True)]

    def __init__(self, title: str, options: Sequence[tuple[str, str, bool]]) -> None:
        super().__init__()
        self._title, self._options = title, options

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "Space ticks · Enter accepts · Esc cancels"
            yield SelectionList[str](*((Text(line), key, ticked) for key, line, ticked in self._options))

    def action_accept(self) -> None:
        ticked = set(self.query_one(SelectionList).selected)
        self.dismiss([key for key, _, _ in self._options if key in ticked])


class Help(Dialog[None]):
    """Shows a page of our own Markdown."""

    DEFAULT_CSS = _BOX.format("Help") + "Help > Vertical { width: 84; height: 90%; } Help Markdown { background: $surface; }"
    BINDINGS = [("escape,q,question_mark", "dismiss(None)", "Close")]

    def __init__(self, title: str, page: str) -> None:
        super().__init__()
        self._title, self._page = title, page

    def compose(self) -> ComposeResult:
        from textual.widgets import Markdown

        with Vertical() as box:
            box.border_title = self._title
            box.border_subtitle = "Esc closes"
            with VerticalScroll():
                yield Markdown(self._page)

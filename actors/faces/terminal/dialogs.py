"""What lies over the dashboard for a moment: a question before something disturbs, a text to read."""

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from actors.faces.console.output import clock
from actors.faces.look import pick
from actors.faces.terminal.panels import STYLES
from actors.faces.terminal.rows import Cell, clean
from projections.story import Story


class Question(ModalScreen[str | None]):
    """Asks before something is done; the answer is the reason for the log, None for no."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "no", "no")]

    def __init__(self, text: str, consequence: str, lang: str) -> None:
        super().__init__()
        self._text = text
        self._consequence = consequence
        self._lang = lang

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        keys = pick("Enter yes   Esc no", "Enter はい   Esc いいえ", self._lang)
        reason = pick("reason for the log (may be empty)", "理由(ログに残ります。空でも可)", self._lang)
        with Vertical(id="question"):
            yield Static(Text(clean(self._text), style="bold"))
            yield Static(Text(clean(self._consequence), style=STYLES["soft"]))
            yield Input(placeholder=reason, max_length=300)
            yield Static(Text(keys, style=STYLES["busy"]))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take yes."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_no(self) -> None:
        """Take no."""
        self.dismiss(None)


class Reading(ModalScreen[None]):
    """Shows lines to read, cells with tones below each other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,w,enter,question_mark", "close", "close"),
        ("j", "down", "down"),
        ("k", "up", "up"),
    ]

    def __init__(self, title: str, lines: Sequence[Sequence[Cell]], hint: str) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines
        self._hint = hint

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        table = Table.grid(padding=(0, 2, 0, 0))
        for place in range(max((len(cells) for cells in self._lines), default=0)):
            table.add_column(no_wrap=place == 0, overflow="fold")
        for cells in self._lines:
            table.add_row(*(Text(clean(cell.text), style=STYLES.get(cell.tone, "")) for cell in cells))
        with Vertical(id="reading"):
            yield Static(Text(clean(self._heading), style="bold"), id="heading")
            with VerticalScroll():
                yield Static(table)
            yield Static(Text(self._hint, style=STYLES["soft"]))

    def on_mount(self) -> None:
        """Let keys scroll from the start."""
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        """Go back to the dashboard."""
        self.dismiss(None)

    def action_down(self) -> None:
        """Scroll on."""
        self.query_one(VerticalScroll).scroll_down()

    def action_up(self) -> None:
        """Scroll back."""
        self.query_one(VerticalScroll).scroll_up()


def told(story: Story) -> list[list[Cell]]:
    """Lay out a story: when, where in the log, what."""
    return [
        [Cell(clock(line.time), "soft"), Cell(str(line.position), "busy"), Cell(line.text)]
        for line in story.lines
    ]

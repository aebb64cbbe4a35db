"""`elf top`: panels over the node's page, live; what is done by keys goes the way of `actors.faces.acts`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from nats.errors import Error as NatsError
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import DataTable, Input, Static

from actors.faces.acts import ACTS
from actors.faces.console.options import Language
from actors.faces.link import Link
from actors.faces.look import pick
from actors.faces.terminal import heads
from actors.faces.terminal.dialogs import Question, Reading, told
from actors.faces.terminal.follow import pages
from actors.faces.terminal.keys import DEEDS, HELP, PANELS, PAUSE, RESUME, Deed, body_of
from actors.faces.terminal.panels import Panel
from actors.faces.terminal.rows import Cell, View, clean, rows_of
from actors.place import ClientError, Place
from events.log import LogError

FOREST = Theme(
    name="forest",
    primary="#8fbf6f",
    secondary="#33503a",
    warning="#e5b567",
    error="#e87d7d",
    success="#8fbf6f",
    accent="#6cb6d9",
    foreground="#dfe5dc",
    background="#141a16",
    surface="#1c241e",
    panel="#243028",
    variables={"border": "#3d4d41"},
)
_UPPER, _LOWER = ("workers", "agents", "queues"), ("actions", "alerts", "proposals")
_WIDE, _HIGH, _LOW, _LEAST = 110, 30, 17, 5


class Top(App[None]):
    """The dashboard. `page` is what the node said last; nothing else is kept."""

    TITLE = "elf top"
    CSS_PATH = "top.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        Binding("ctrl+c,ctrl+q", "quit", "quit", priority=True),
        ("w", "why", "why"),
        ("p", "hold", "pause"),
        ("l", "language", "language"),
        ("slash", "filter", "filter"),
        ("escape", "clear", "clear"),
        ("question_mark", "keys", "keys"),
        ("j", "move(1)", "down"),
        ("k", "move(-1)", "up"),
        *[(str(at), f"choose('{name}')", name) for at, name in enumerate(PANELS, 1)],
        *[(key, f"do('{key}')", "") for key in sorted({key for _, key in DEEDS})],
    ]

    def __init__(self, place: Place, lang: Language) -> None:
        super().__init__()
        self.lang: Language = lang
        self.page: dict[str, Any] = {}
        self.gone = ""
        self.wanted = ""
        self._link = Link(place)
        self._chosen = {"workers", "actions"}
        self._acting: set[asyncio.Task[None]] = set()

    # --- what there is to see ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay out the panels."""
        yield Static(id="state")
        with Horizontal(id="upper"):
            yield Panel("workers")
            with Vertical(classes="side"):
                yield Panel("agents")
                yield Panel("queues")
        yield Panel("elves")
        with Horizontal(id="lower"):
            yield Panel("actions")
            with Vertical(classes="side"):
                yield Panel("alerts")
                yield Panel("proposals")
        yield Input(id="filter")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Begin to follow the node."""
        self.register_theme(FOREST)
        self.theme = "forest"
        self.animation_level = "none"
        self.query_one("#workers").focus()
        self.arrange()
        self.follow()

    @work
    async def follow(self) -> None:
        """Show what the node says, for as long as the dashboard is open."""
        async for news in pages(self._link):
            if isinstance(news, str):
                self.gone = news
            else:
                self.page, self.gone = news, ""
            self.redraw()

    def _ground(self) -> Screen[Any] | None:
        """Return the dashboard's own screen below whatever lies over it; None while it closes."""
        screen = next(iter(self.screen_stack), None)
        return screen if screen and screen.query("#keys") else None

    def redraw(self) -> None:
        """Draw the page that is known."""
        screen = self._ground()
        if screen is None:
            return
        screen.set_class(bool(self.gone), "gone")
        screen.query_one("#state", Static).update(heads.state(self.page, self.gone, self.lang))
        if self.page:
            view = View(self.page, self.lang, time.time())
            for panel in screen.query(Panel):
                panel.show(rows_of(panel.panel, view, self.wanted), self.lang)
        self.arrange()

    def arrange(self) -> None:
        """Show every panel where there is room, else one of the upper and one of the lower."""
        screen, small = self._ground(), self.size.width < _WIDE or self.size.height < _HIGH
        if screen is None:
            return
        for panel in screen.query(Panel):
            empty = panel.panel == "agents" and not (self.page and self.page["agents"])
            shown = panel.panel in self._chosen or (not small and not empty)
            panel.display = shown if panel.panel != "elves" else self.size.height >= _LOW
            deck = next((deck for deck in (_UPPER, _LOWER) if small and panel.panel in deck), (panel.panel,))
            panel.name_it(heads.title(deck, panel.panel, self.page, self.lang, self.wanted))
        for side in screen.query(".side"):
            side.display = any(child.display for child in side.children)
        screen.query_one("#upper").styles.height = self._upper_rows(small)
        self.hint()

    def _upper_rows(self, small: bool) -> int:
        """Return how high the upper panels are: as they need, up to half of what there is."""
        if not self.page:
            return _LEAST
        workers, agents, queues = (len(self.page[name]) for name in _UPPER)
        side = queues + (agents + 3 if agents else 0)
        needed = max(workers, agents, queues) if small else max(workers, side)
        room = self.size.height - 2 - (7 if self.size.height >= _LOW else 0)
        return max(_LEAST, min(needed + 3, room - room // 2))

    def hint(self) -> None:
        """Say which keys mean something here."""
        screen = self._ground()
        if screen is None:
            return
        focused = screen.focused
        name = focused.panel if isinstance(focused, Panel) else ""
        line = heads.keys(name, self.lang, bool(self.page and self.page["paused"]), self.size.width - 2)
        screen.query_one("#keys", Static).update(line)

    def on_resize(self, _: events.Resize) -> None:
        """Lay out anew."""
        self.arrange()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """Other panels have other keys."""
        self.hint()

    # --- what can be done ----------------------------------------------------------------------------------

    @property
    def panel(self) -> Panel | None:
        """The panel that keys go to."""
        return self.focused if isinstance(self.focused, Panel) else None

    def action_choose(self, name: str) -> None:
        """Go to a panel."""
        for deck in (_UPPER, _LOWER):
            if name in deck:
                self._chosen = self._chosen - set(deck) | {name}
        self.arrange()
        self.screen.set_focus(self.query_one(f"#{name}"))

    def action_move(self, by: int) -> None:
        """Go to another row."""
        if self.panel:
            self.panel.move_cursor(row=self.panel.cursor_row + by)

    def action_language(self) -> None:
        """Speak the other language."""
        self.lang = "en" if self.lang == "ja" else "ja"
        self.redraw()

    def action_filter(self) -> None:
        """Ask for a word."""
        field = self.query_one("#filter", Input)
        field.placeholder = pick("a word, or ! for trouble", "語、または ! で問題のみ", self.lang)
        field.add_class("open")
        field.focus()

    def action_clear(self) -> None:
        """Show all rows again."""
        self.query_one("#filter", Input).value = ""
        self.wanted = ""
        self._close_filter()

    @on(Input.Changed, "#filter")
    def filter_changed(self, event: Input.Changed) -> None:
        """Show what fits while it is typed."""
        self.wanted = event.value.strip()
        self.redraw()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("open")
        if not self.panel:
            self.query_one("#workers").focus()
        self.redraw()

    def action_keys(self) -> None:
        """Show what every key does."""
        lines = [[Cell(key, "busy"), Cell(pick(en, ja, self.lang))] for key, en, ja in HELP]
        self.push_screen(Reading(pick("Keys", "キー", self.lang), lines, self._back()))

    @on(DataTable.RowSelected)
    def action_why(self) -> None:
        """Tell the story of the chosen row."""
        row = self.panel.current if self.panel else None
        if row and row.why:
            self._start(self._tell(row.why))

    def action_hold(self) -> None:
        """Let all elves only observe, or go on."""
        if self.page:
            self._ask(RESUME if self.page["paused"] else PAUSE, {})

    def action_do(self, key: str) -> None:
        """Do what a key means on the chosen row."""
        panel = self.panel
        deed = DEEDS.get((panel.panel, key)) if panel else None
        if panel and deed and panel.current:
            self._ask(deed, panel.current.about)

    def _ask(self, deed: Deed, about: Mapping[str, Any]) -> None:
        name = heads.subject(deed, about, self.lang)
        what = f"{deed.named(self.lang)}: {name}" if name else deed.named(self.lang)
        if deed.sure is None:
            self._start(self._act(deed, about, what, ""))
            return

        def answered(reason: str | None) -> None:
            if reason is not None:
                self._start(self._act(deed, about, what, reason))

        self.push_screen(Question(f"{what}?", pick(*deed.sure, self.lang), self.lang), answered)

    async def _act(self, deed: Deed, about: Mapping[str, Any], what: str, reason: str) -> None:
        position = await ACTS[deed.verb](self._link, body_of(deed, about, reason))
        self._link.forget()
        written = pick("in the log at position", "ログ位置", self.lang)
        self.notify(clean(f"{what} - {written} {position}"), markup=False, timeout=6)

    async def _tell(self, about: str) -> None:
        story = await self._link.story(about, self.lang)
        if story is None:
            lines = await heads.tasks_of(self._link, about, self.lang)
            self.push_screen(Reading(about, lines, self._back()))
            return
        self.push_screen(Reading(story.title, told(story), self._back()))

    def _back(self) -> str:
        return pick("↑ ↓ scroll   Esc back", "↑ ↓ 移動   Esc 戻る", self.lang)

    def _start(self, work: Any) -> None:
        """Do something that may fail, and say so; the dashboard goes on."""
        task = asyncio.get_running_loop().create_task(self._said(work))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def _said(self, work: Any) -> None:
        try:
            await work
        except (ClientError, LogError, NatsError, OSError, TimeoutError) as problem:
            text = str(problem) or type(problem).__name__
            self.notify(clean(text), severity="error", markup=False, timeout=12)

    async def on_unmount(self) -> None:
        """Give the connection back."""
        await self._link.close()

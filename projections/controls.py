"""How far each elf may go: a person's word over the file's; folded from the log, so replay knows it too."""

from msgspec import Struct, field

from events.controls import ElvesPaused, ElvesResumed, ModeSet
from events.decisions import Mode
from events.envelope import Recorded
from events.settings import ElfSettings


class Controls(Struct):
    """What people have said: `modes` by `elf` or `elf.rule`, and whether every elf only observes."""

    paused: bool = False
    modes: dict[str, Mode] = field(default_factory=dict)

    def apply(self, event: Recorded) -> None:
        """Fold one event; only a person's word counts."""
        if not event.source.startswith("operator."):
            return
        match event.body:
            case ElvesPaused():
                self.paused = True
            case ElvesResumed():
                self.paused = False
            case ModeSet(elf=elf, rule=rule, mode=mode):
                key = f"{elf}.{rule}" if rule else elf
                if mode == "file":
                    self.modes.pop(key, None)
                else:
                    self.modes[key] = mode
            case _:
                return

    def mode(self, elf: ElfSettings, rule: str, advice: bool = False) -> Mode:
        """Return the mode of a rule; what is only `advice` acts by a word about this very rule alone."""
        if self.paused:
            return "observe"
        said = self.modes.get(f"{elf.name}.{rule}")
        if said is not None:
            return said
        whole = self.modes.get(elf.name)
        if whole is None and rule in elf.rules:
            return elf.rules[rule]
        mode = whole or elf.mode
        return "advise" if advice and mode == "act" else mode

    def of(self, elf: ElfSettings) -> Mode:
        """Return the mode of an elf as a whole."""
        return "observe" if self.paused else self.modes.get(elf.name, elf.mode)

    def rules(self, elf: ElfSettings) -> dict[str, Mode]:
        """Return the modes of single rules that are in force, those of a pause left aside."""
        told = {} if elf.name in self.modes else dict(elf.rules)
        for key, mode in self.modes.items():
            name, _, rule = key.partition(".")
            if name == elf.name and rule:
                told[rule] = mode
        return dict(sorted(told.items()))

"""Options that many commands share: where the forest is and in which language to answer."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from actors.faces.console.folders import usual_folder

if TYPE_CHECKING:
    from actors.place import Place

Language = Literal["en", "ja"]


@dataclass(frozen=True)
class Where:
    """Where the forest is."""

    data: Annotated[Path | None, Parameter(env_var="ELF_DATA")] = None
    """Data folder of the node; without it .elf, the one that ./forest.toml names, ./data, the example's."""

    nats: Annotated[str, Parameter(env_var="ELF_NATS")] = ""
    """Address of a server, as nats://USER:PASSWORD@HOST:PORT; users of the data folder when it names none."""

    def place(self) -> "Place":
        """Find the forest. Raises ClientError or Failure when nothing names one."""
        from actors.place import Place

        if self.nats:
            from actors.faces.console.failure import Failure

            if not self.nats.startswith(("nats://", "tls://")):
                raise Failure(f"expected an address like nats://127.0.0.1:4222, got {self.nats!r}")
            folder = self.data or Path(".elf")
            return Place(folder if self.data or folder.exists() else None, self.nats)
        return Place(self.folder())

    def folder(self) -> Path:
        """Return the data folder: the one asked for, else the first of the usual ones that has had a node."""
        return self.data if self.data is not None else usual_folder()


HERE = Where()
WhereOption = Annotated[Where, Parameter(name="*")]


def language(wanted: str | None) -> Language:
    """Return the language to answer in: asked for, else the environment's, else English."""
    choice = wanted or os.environ.get("ELF_LANG") or os.environ.get("LANG", "")
    return "ja" if choice.startswith("ja") else "en"

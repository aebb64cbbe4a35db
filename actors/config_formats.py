"""Forms: how a text of forest.toml is read more closely than its type says, and what an error advises."""

import os
import pwd
import re
import shutil
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from events.subjects import token
from projections.when import ACCEPTED, Unreadable, parse_when


class Form(NamedTuple):
    """`parse(value, folder)` returns what the schema holds or raises `Unfit` with a hint (or without one)."""

    expected: str
    example: str
    parse: Callable[[str, Path], object]
    numbers: bool = False


class Unfit(ValueError):
    """A value is not of its form; the text is a better value to try, or empty."""


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", re.IGNORECASE)
_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SYNC = re.compile(r"always|(?:[1-9]\d*(?:ms|s|m|h))+")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_ENDING_SIGNALS = sorted(
    s.name[3:] for s in signal.Signals if s.name[3:] not in {"STOP", "CONT", "TSTP", "TTIN", "TTOU"}
)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, or an empty text."""
    from difflib import get_close_matches  # for errors only

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def parse_size(text: str) -> int:
    """Return bytes for `500MB` (decimal), `1GiB` (binary) or a plain number. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise Unfit
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


def absolute(text: str, folder: Path) -> str:
    """Return a path of the file as seen from anywhere; its last link, as a venv's python is one, is kept."""
    try:
        path = folder / Path(text).expanduser()
    except RuntimeError:
        raise Unfit from None
    return str(path.resolve() if path.name in {"", ".."} else path.parent.resolve() / path.name)


def _size(text: str, _: Path) -> int:
    return parse_size(text)


def _text(text: str, _: Path) -> str:
    if not text.strip():
        raise Unfit
    return text


def _name(text: str, _: Path) -> str:
    try:
        return token(text)
    except ValueError:
        raise Unfit(re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:64].strip("_")) from None


def _matching(pattern: re.Pattern[str]) -> Callable[[str, Path], str]:
    def parse(text: str, _: Path) -> str:
        if not pattern.fullmatch(text):
            raise Unfit
        return text

    return parse


def _zone(text: str, _: Path) -> str:
    if text != "UTC":
        try:
            ZoneInfo(text)
        except (LookupError, ValueError, OSError):
            raise Unfit(nearest(text, available_timezones())) from None
    return text


def _when(text: str, _: Path) -> str:
    try:
        parse_when(text)
    except Unreadable:
        raise Unfit from None
    return text


def _every(text: str, _: Path) -> str:
    try:
        schedule = parse_when(text)
    except Unreadable:
        raise Unfit from None
    if schedule.kind == "memory":
        raise Unfit
    return text


def _webhook(text: str, _: Path) -> str:
    """Variables of the node's environment may stand in it: what it says is often a secret."""
    if not re.match(r"https?://[^/\s]|\$\{", text):
        raise Unfit
    return text


def _api(text: str, _: Path) -> str:
    """A token is sent there, so nobody on the way may read it."""
    url = urlsplit(text)
    if url.scheme != "https" and not (
        url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost", "::1")
    ):
        raise Unfit
    return text.rstrip("/")


def _signal(text: str, _: Path) -> str:
    name = text.upper().removeprefix("SIG")
    if name not in _ENDING_SIGNALS:
        raise Unfit(nearest(name, _ENDING_SIGNALS))
    return name


def _call(text: str, _: Path) -> str:
    module, colon, function = text.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *function.split(".")]):
        at = text.rpartition(".")
        raise Unfit(f"{at[0]}:{at[2]}" if not colon and at[1] else "")
    return text


def _pattern(text: str, _: Path) -> str:
    try:
        re.compile(text)
    except re.error:
        raise Unfit(re.escape(text)) from None
    return text


def _folder(text: str, folder: Path) -> str:
    path = absolute(text, folder)
    if not os.path.isdir(path):
        parent = Path(path).parent
        siblings = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
        better = nearest(Path(path).name, siblings)
        raise Unfit(str(Path(text).with_name(better)) if better else "")
    return path


def _python(text: str, folder: Path) -> str:
    path = absolute(text, folder) if "/" in text else (shutil.which(text) or "")
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise Unfit(shutil.which("python3") or "")
    return path


def _user(text: str, _: Path) -> str:
    try:
        pwd.getpwnam(text)
    except KeyError:
        raise Unfit(nearest(text, (entry.pw_name for entry in pwd.getpwall()))) from None
    return text


FORMS = {
    "text": Form("text that is not empty", "text", _text),
    "name": Form("a name of 1 to 64 letters, digits, '_' or '-'", "name", _name),
    "path": Form("a path", "file", absolute),
    "size": Form('a size in bytes or as "500MB" or "1GiB"', "500MB", _size, numbers=True),
    "sync": Form('"always" or a time such as "2m"', "2m", _matching(_SYNC)),
    "clock": Form('a time of the day as "22:00"', "22:00", _matching(_CLOCK)),
    "every": Form('"15m", "daily 09:00" or "weekly mon 10:00"', "15m", _every),
    "when": Form(ACCEPTED, "17:00", _when),
    "webhook": Form("an address that begins with http:// or https://", "https://example.org/hook", _webhook),
    "api": Form("an address that begins with https://", "https://api.github.com", _api),
    "repository": Form('a repository as "owner/name"', "owner/name", _matching(_REPOSITORY)),
    "zone": Form("a time zone of this machine", "Asia/Tokyo", _zone),
    "signal": Form("a signal that ends a process", "TERM", _signal),
    "call": Form('a function as "module:function"', "module:function", _call),
    "pattern": Form("a regular expression", "secret=\\\\S+", _pattern),
    "folder": Form("a folder that exists", ".", _folder),
    "python": Form("a Python that exists and may be run", "python3", _python),
    "user": Form("a user of this machine", "nobody", _user),
    "command": Form("an array of texts, the program first", "python3", absolute),
}

"""The node's own lines as JSON: one object each, whatever is said."""

import json
import logging
import sys
import threading

import pytest

from actors.log_lines import JsonLines, log_as


def line(message: str, *words: object, **more: object) -> dict[str, object]:
    """Return what one record becomes."""
    record = logging.LogRecord("elf.mover", logging.WARNING, "file", 1, message, words, None)
    record.__dict__.update(more)
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_a_line_has_its_time_and_what_is_known_beside_its_words() -> None:
    found = line("%s stays: %s", "t1", 'two\nlines "quoted" \u65e5\u672c', decision="d1", position=7, task="")
    assert found.pop("time", "")
    assert found == {
        "level": "warning",
        "logger": "elf.mover",
        "message": 't1 stays: two\nlines "quoted" \u65e5\u672c',
        "decision": "d1",
        "position": 7,
    }


def test_an_exception_is_one_line_too() -> None:
    try:
        raise ValueError("expected\nthis")
    except ValueError:
        found = line("it failed", exc_info=sys.exc_info())
    assert "ValueError: expected\nthis" in str(found["error"])


def test_the_form_changes_while_the_node_runs(capsys: pytest.CaptureFixture[str]) -> None:
    handler, root, log = logging.StreamHandler(sys.stderr), logging.getLogger(), logging.getLogger("elf.test")
    root.addHandler(handler)
    try:
        for form in ("json", "text"):
            log_as("json" if form == "json" else "text")
            log.warning("said")
            if form == "json":
                thread = threading.Thread(target=lambda: int("x"), name="elf-odd")
                thread.start()
                thread.join()
        first, failed, second = capsys.readouterr().err.splitlines()
    finally:
        log_as("text")
        root.removeHandler(handler)
    assert json.loads(first)["message"] == "said"
    told = json.loads(failed)
    assert told["message"].startswith("elf-odd failed: ValueError")
    assert "Traceback" in told["error"]
    assert second.endswith(" W elf.test: said")

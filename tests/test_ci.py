"""What CI tries a second time: tests that failed, never those that a run which was cut short did not come to."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
(FAILED_TESTS,) = re.findall(
    r"^failed_tests\(\) \{.*?^\}$", (ROOT / ".ci/run").read_text(), re.MULTILINE | re.DOTALL
)
PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): assert False\n"
CUT_SHORT = (
    FAILS + "def test_cuts_short(): __import__('pytest').exit('now', 2)\ndef test_hidden(): assert False\n"
)


def again(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Run these tests as the first try does, then ask which ones are tried once more."""
    shutil.copy(ROOT / "tests/conftest.py", folder)
    (folder / "pytest.ini").touch()
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=folder, env=alone, stdout=subprocess.DEVNULL, check=False
    )
    script = f'set -euo pipefail\nlowest=$0\n{FAILED_TESTS}\nagain="$(failed_tests)"\necho "again: $again"'
    return subprocess.run(
        ["bash", "-c", script, sys.executable], cwd=folder, capture_output=True, text=True, check=False
    )


def test_what_failed_in_a_whole_run_is_tried_again_by_name(tmp_path: Path) -> None:
    asked = again(tmp_path, a=PASSES, b=FAILS)
    assert (asked.returncode, asked.stdout) == (0, "again: test_b.py::test_fails\n")


@pytest.mark.parametrize(
    "files",
    [{"a": FAILS, "b": "import nothing_of_that_name\n"}, {"a": CUT_SHORT}, {"a": PASSES}],
    ids=["unread", "cut short", "none"],
)
def test_a_run_that_did_not_come_to_every_test_is_not_tried_again(
    tmp_path: Path, files: dict[str, str]
) -> None:
    asked = again(tmp_path, **files)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr

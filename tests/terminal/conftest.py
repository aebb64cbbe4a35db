"""A bare install has no dashboard to look at."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("textual") else ["test_*.py"]

"""A client of the keeper that starts one unit and then waits to be killed: lone_client.py RUN_DIR REQUEST."""

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from actors.keeper_client import Keeper, StartRequest

keeper = Keeper.attach(Path(sys.argv[1]))
print(keeper.start(StartRequest(**json.loads(sys.argv[2]))).pid, flush=True)
signal.pause()

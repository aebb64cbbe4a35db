"""A handler that writes down the messages it gets beside its tasks."""

import json
import os

KEPT = []


def work(task):
    if isinstance(task["payload"], int):
        KEPT.append(bytearray(task["payload"]))
    return len(KEPT)


def on_message(message):
    with open(os.environ["NOTED"], "a") as file:
        file.write(json.dumps(message) + "\n")

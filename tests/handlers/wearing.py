"""A handler that gets slower the longer its process lives, and writes down the messages it gets beside its tasks."""

import json
import os
import time

DONE = []


def work(task):
    DONE.append(task["payload"])
    time.sleep(0.001 if len(DONE) <= 20 else 0.1)


def batch(tasks):
    return [None for _ in tasks]


def nap(task):
    time.sleep(task["payload"])


def on_message(message):
    with open(os.environ["NOTED"], "a") as file:
        file.write(json.dumps(message) + "\n")

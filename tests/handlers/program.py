"""A program that is started once for each task."""

import json
import os
import sys
import time

task = json.load(sys.stdin)
match task["payload"]:
    case "json":
        print(json.dumps({"attempt": task["attempt"], "id": task["id"]}))
    case "text":
        print("ただの text")
    case "trace":
        told = {"environment": os.environ.get("TRACEPARENT"), "message": task.get("traceparent")}
        print(json.dumps({**told, "submit": [{"queue": "calls"}]}))
    case "fail":
        print("not this line", file=sys.stderr)
        sys.exit("the disk is full")
    case "long":
        print("x" * 400_000)
    case "hang":
        time.sleep(60)
    case "crash":
        os.abort()

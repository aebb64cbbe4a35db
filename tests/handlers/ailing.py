"""Tasks that do not get on, each in its own way, and some that only look so. Nothing of the product is imported."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_KEPT = []


def work(task):
    """Get on: a little of everything."""
    time.sleep(0.01)
    return task["payload"]


def sleeping(task):
    """Rest without a lock; nothing is wrong with that."""
    time.sleep(task["payload"])


def self_lock(task):
    if task["payload"] == "fine":
        return
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def two_lock(task):
    if task["payload"] == "fine":
        return
    one, two, met = threading.Lock(), threading.Lock(), threading.Barrier(2)

    def take(first, second):
        with first:
            met.wait()
            with second:
                pass

    threads = [threading.Thread(target=take, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def spin(task):
    if task["payload"] == "fine":
        return
    number = 0
    while True:
        number = (number + 1) % 1000


def hold_gil(task):
    """Sleep in C without letting anybody else have the interpreter."""
    if task["payload"] == "fine":
        return
    ctypes.PyDLL(None).sleep(1000)


def dead_socket(task):
    """Ask a server that took the connection and says nothing."""
    if task["payload"] == "fine":
        return
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    client.recv(1)


def stop_inside(task):
    if task["payload"] == "fine":
        return
    os.kill(os.getpid(), signal.SIGSTOP)


def leave_zombies(task):
    """Start children and never wait for them."""
    for _ in range(task["payload"]):
        _KEPT.append(subprocess.Popen([sys.executable, "-c", ""]))


def leave_spinning(task):
    """Let processes compute for nothing behind the task's back, as long as a file is there."""
    program = "import os, sys\nwhile os.path.exists(sys.argv[1]): pass"
    for _ in range(2):
        _KEPT.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", program, task["payload"]]))

"""What nats-server gives: prepared bytes in atomic batches by the bare protocol, one after another.

No client library, no encoding, no ids: a socket, prepared bytes, and a wait for each batch's acknowledgement.
"""

import json
import socket
import time
from urllib.parse import urlsplit


def _lines(stream: socket.socket, inbox: str, user: str, password: str) -> bytes:
    connect = {
        "verbose": False,
        "headers": True,
        "no_responders": True,
        "user": user,
        "pass": password,
        "lang": "raw",
    }
    stream.sendall(b"CONNECT %s\r\nSUB %s.* 1\r\nPING\r\n" % (json.dumps(connect).encode(), inbox.encode()))
    seen = b""
    while b"PONG" not in seen:
        seen += stream.recv(65536)
    return seen


def _message(subject: str, reply: str, headers: dict[str, str], data: bytes) -> bytes:
    head = "NATS/1.0\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n"
    block = head.encode()
    parts = f"HPUB {subject} {reply} {len(block)} {len(block) + len(data)}\r\n".replace("  ", " ").encode()
    return parts + block + data + b"\r\n"


def batches(subject: str, inbox: str, data: bytes, size: int, count: int, mark: str) -> list[bytes]:
    """Make the bytes of all batches beforehand."""
    made = []
    for batch in range(count):
        messages = []
        for number in range(1, size + 1):
            headers = {"Nats-Batch-Id": f"{mark}{batch}", "Nats-Batch-Sequence": str(number)}
            if number == size:
                headers["Nats-Batch-Commit"] = "1"
            messages.append(_message(subject, f"{inbox}.a" if number == size else "", headers, data))
        made.append(b"".join(messages))
    return made


def events_per_second(
    url: str,
    user: str,
    password: str,
    inbox: str,
    subject: str,
    data: bytes,
    size: int,
    count: int,
    mark: str = "raw",
) -> float:
    """Publish `count` batches of `size` messages, each acknowledged before the next begins."""
    where = urlsplit(url)
    made = batches(subject, inbox, data, size, count, mark)
    with socket.create_connection((where.hostname or "", where.port or 0), 10.0) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _lines(stream, inbox, user, password)
        began = time.perf_counter()
        for block in made:
            stream.sendall(block)
            answer = b""
            while not (answer.startswith(b"MSG") and answer.endswith(b"}\r\n")):
                answer += stream.recv(65536)
                if b"PING\r\n" in answer:
                    stream.sendall(b"PONG\r\n")
                    answer = answer.replace(b"PING\r\n", b"")
            if b'"error"' in answer:
                raise RuntimeError(f"expected an acknowledgement, got {answer[:300]!r}")
        return size * count / (time.perf_counter() - began)

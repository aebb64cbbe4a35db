"""What the kernel says of a folder the moment it happens: a file begun, a file put in place."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

CREATED, CHANGED, NAMED = 0x100, 0x2, 0x80
"""inotify's IN_CREATE, IN_MODIFY and IN_MOVED_TO."""

_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)

Sign = Callable[[int, str], bool]
"""Gets one of the above and the file's name; true when this is the moment."""


async def strike_at(folder: Path, sign: Sign, blow: Callable[[], object], seconds: float) -> bool:
    """Let the blow fall the instant a sign is seen in a folder; False when it did not come in time."""
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[bool] = loop.create_future()
    handle = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0 or _libc.inotify_add_watch(handle, os.fsencode(folder), CREATED | CHANGED | NAMED) < 0:
        raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")

    def look() -> None:
        data = os.read(handle, 65536)
        while data and not seen.done():
            _, kind, _, length = _HEAD.unpack_from(data)
            name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0").decode()
            data = data[_HEAD.size + length :]
            if sign(kind, name):
                blow()
                seen.set_result(True)

    loop.add_reader(handle, look)
    try:
        return await asyncio.wait_for(seen, seconds)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
        os.close(handle)

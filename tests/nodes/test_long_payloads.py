"""Tasks with payloads of the greatest length, in numbers: nothing breaks, nothing is lost, memory comes back."""

import os
from pathlib import Path

import psutil

from events.observations import HistorySealed
from tests.nodes.test_task_worker import finished, worker
from tests.real_node import real_node

LENGTH, COUNT = 250_000, 400
MIB = 1 << 20


async def test_a_hundred_megabytes_of_payloads_are_stored_done_and_sealed(tmp_path: Path) -> None:
    async with real_node(tmp_path, worker("noop") + "[web]\nenabled = false\n") as node:
        await node.runs("w")
        for first in range(0, COUNT, 8):
            texts = [(f"t{number}", os.urandom(LENGTH // 2).hex()) for number in range(first, first + 8)]
            await node.submit("q", texts)
        await node.wait(lambda _: len(finished(node)) == COUNT, what=f"{COUNT} results")
        await node.saw(HistorySealed)
        page = await node.status()
        length = "SELECT count(*), min(octet_length(data)) FROM log WHERE type = 'task_submitted'"
        ((count, shortest),) = (await node.ask("sql", sql=length))["rows"]
        assert (count, shortest > LENGTH) == (COUNT, True)
        assert psutil.Process(page["node"]["pid"]).memory_info().rss < 600 * MIB
        assert " E elf." not in node.words()
        assert await node.stop() == 0

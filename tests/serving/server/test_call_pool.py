import asyncio
import threading

import pytest

from serving.server.call_pool import CallPool
from serving.server.protocol.errors import ServingError


def test_calls_beyond_the_limit_are_turned_away_at_once_and_room_comes_back():
    async def scenario() -> None:
        calls, release = CallPool(threads=1, max_waiting=2), threading.Event()
        held = [asyncio.create_task(calls.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="UNAVAILABLE: The server is at its limit of 2 calls"):
            await calls.run(lambda: 3)
        release.set()
        assert await asyncio.gather(*held) == [True, True]
        assert await calls.run(lambda: 3) == 3
        calls.close()

    asyncio.run(scenario())


def test_a_cancelled_call_that_waits_never_runs():
    async def scenario() -> None:
        calls, release, ran = CallPool(threads=1, max_waiting=4), threading.Event(), []
        busy = asyncio.create_task(calls.run(release.wait))
        waiting = asyncio.create_task(calls.run(lambda: ran.append(1)))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.sleep(0)
        release.set()
        await busy
        await calls.run(lambda: None)
        assert ran == []
        calls.close()

    asyncio.run(scenario())

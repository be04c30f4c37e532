"""Slots: bounded, in turn by session, never lost."""

import asyncio
import random

import pytest

from streams.slots import Slots


class Room:
    """Work that holds a slot until it is let go."""

    def __init__(self, count: int) -> None:
        self.slots = Slots(count)
        self.inside: list[str] = []
        self.order: list[str] = []
        self.most = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[asyncio.Event] = []

    def enter(self, session_id: str) -> asyncio.Task[None]:
        self._tasks.append(asyncio.create_task(self._work(session_id)))
        return self._tasks[-1]

    async def _work(self, session_id: str) -> None:
        async with self.slots.of(session_id):
            self.inside.append(session_id)
            self.order.append(session_id)
            self.most = max(self.most, len(self.inside))
            end = asyncio.Event()
            self._ends.append(end)
            try:
                await end.wait()
            finally:
                self.inside.remove(session_id)

    def let_one_go(self) -> None:
        self._ends.pop(0).set()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_session_with_few_waits_for_one_slot_not_for_all_of_another() -> None:
    room = Room(3)
    for _ in range(50):
        room.enter("many")
    await settle()
    room.enter("few")
    room.enter("other")
    room.enter("few")
    await settle()
    for _ in range(6):
        room.let_one_go()
        await settle()
    assert room.order[3:] == ["many", "few", "other", "many", "few", "many"]
    assert room.most == 3


async def test_who_gives_up_waiting_takes_no_slot() -> None:
    room = Room(1)
    room.enter("a")
    await settle()
    given_up = [room.enter("b") for _ in range(3)]
    room.enter("c")
    await settle()
    for task in given_up:
        task.cancel()
    await settle()
    assert room.slots.waiting() == 1
    room.let_one_go()
    await settle()
    assert room.inside == ["c"]
    room.let_one_go()
    await settle()
    room.enter("d")
    await settle()
    assert room.inside == ["d"]


async def test_a_slot_given_to_who_is_cancelled_in_the_same_moment_goes_on() -> None:
    slots = Slots(1)
    async with slots.of("a"):
        second = asyncio.create_task(slots._take("b"))
        third = asyncio.create_task(slots._take("c"))
        await settle()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(1):
        await third


async def test_none_is_lost_whatever_happens() -> None:
    draw = random.Random(1)
    slots = Slots(4)
    inside = most = 0

    async def work(session_id: str) -> None:
        nonlocal inside, most
        async with slots.of(session_id):
            inside += 1
            most = max(most, inside)
            try:
                for _ in range(draw.randint(0, 3)):
                    await asyncio.sleep(0)
            finally:
                inside -= 1

    tasks = [asyncio.create_task(work(f"s{draw.randint(0, 5)}")) for _ in range(400)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        if draw.random() < 0.3:
            draw.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 4
    assert slots._free == 4
    assert slots.waiting() == 0

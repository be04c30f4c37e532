"""Faults done to real processes, a real supervisor's socket, and a control plane."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from local.control import Calls, ControlPlane
from local.faults import Fault as TwinFault
from local.faults import Faults
from ops import control, stack_file
from ops.chaos.deeds import Deeds, described
from ops.chaos.plan import Fault
from ops.parts import Options
from ops.paths import Paths
from tests.ops.chaos.running import running_stack


@pytest.fixture
def victim() -> Iterator[psutil.Process]:
    """A process to do things to."""
    argv = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with subprocess.Popen(argv, stdout=-1, start_new_session=True) as it:
        assert it.stdout is not None
        it.stdout.readline()
        yield psutil.Process(it.pid)
        it.kill()


@pytest.fixture
async def paths(victim: psutil.Process, tmp_path: Path) -> AsyncIterator[Paths]:
    """A stack of one stage, whose supervisor notes what it is asked."""
    with running_stack(tmp_path, {"translate": victim.pid}) as found:

        async def restart(wish: control.Wish) -> str:
            with (tmp_path / "asked").open("a") as file:
                file.write(f"{wish.do} {wish.part}\n")
            return "done"

        async with control.serve(found.socket, restart):
            yield found


def deeds(paths: Paths) -> Deeds:
    stack = stack_file.read(paths)
    assert stack is not None
    return Deeds(stack, paths, Options(), [], lambda _: None)


def asked(paths: Paths) -> str:
    return (paths.state / "asked").read_text()


async def test_a_killed_stage_is_started_again_after_its_pause(paths: Paths, victim: psutil.Process) -> None:
    done = deeds(paths)
    await done.one(Fault(0, "kill", "translate", 0.2))
    assert await asyncio.to_thread(victim.wait, 5) == -signal.SIGKILL
    assert asked(paths) == "restart translate\n"
    (deed,) = done.done
    assert 200 <= deed.ended_ms - deed.began_ms < 5_000
    assert deed.note == ""


async def test_a_stage_that_ended_by_itself_is_started_again_and_said_to_be(tmp_path: Path) -> None:
    asked_for: list[control.Wish] = []

    async def restart(wish: control.Wish) -> str:
        asked_for.append(wish)
        return "done"

    with running_stack(tmp_path, {"emotion": None, "translate": 1}) as paths:
        async with control.serve(paths.socket, restart):
            done = deeds(paths)
            standing_by = asyncio.create_task(done.stand_by())
            async with asyncio.timeout(10):
                while not done.ended:
                    await asyncio.sleep(0.05)
            standing_by.cancel()
            await asyncio.gather(standing_by, return_exceptions=True)
    assert {(wish.do, wish.part) for wish in asked_for} == {("restart", "emotion")}
    assert done.ended[0] == "emotion had ended by itself, and was started again"


async def test_a_frozen_stage_goes_on(paths: Paths, victim: psutil.Process) -> None:
    freezing = asyncio.create_task(deeds(paths).one(Fault(0, "freeze", "translate", 0.5)))
    async with asyncio.timeout(5):
        while victim.status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.01)
    await freezing
    assert victim.status() != psutil.STATUS_STOPPED


async def test_what_cannot_be_started_is_tried_again_and_noted(paths: Paths) -> None:
    refusals = 1

    async def refuse(_: control.Wish) -> str:
        nonlocal refusals
        refusals -= 1
        if refusals < 0:
            return "done"
        raise control.CommandError("not now")

    async with control.serve(paths.socket, refuse):
        done = deeds(paths)
        await done.one(Fault(0, "kill", "translate"))
    assert done.done[0].note == "not now"
    assert refusals == -1


async def test_a_twins_fault_is_on_for_its_time_and_then_off(tmp_path: Path) -> None:
    active = Faults(1)
    runner, url = await ControlPlane(active, Calls()).serve(0)
    try:
        with running_stack(tmp_path, {}, {"kinesis": url}) as paths:
            done = deeds(paths)
            doing = asyncio.create_task(done.one(Fault(0, "cut", "kinesis", 0.3, {"kind": "cut", "probability": 0.5})))
            async with asyncio.timeout(5):
                while active.active() != [TwinFault("cut", probability=0.5)]:
                    await asyncio.sleep(0.01)
            await doing
            assert active.active() == []
            assert done.done[0].note == ""
            await done.one(Fault(0, "cut", "kinesis", 0, {"kind": "explode"}))
            assert "400" in done.done[1].note
    finally:
        await runner.cleanup()


async def test_faults_come_at_their_times(paths: Paths, victim: psutil.Process) -> None:
    done = deeds(paths)
    began = time.monotonic()
    await done.do([Fault(0.4, "freeze", "translate", 0.1), Fault(0.1, "freeze", "translate", 0.1)], began)
    first, second = sorted(deed.began_ms for deed in done.done)
    assert 200 <= second - first <= 2_000
    assert time.monotonic() - began >= 0.5


def test_a_fault_is_told_in_a_line() -> None:
    assert described(Fault(1, "kill", "translate", 2.5)) == "kill translate for 2.5 s"
    assert (
        described(Fault(1, "slow", "kinesis", 2, {"kind": "slow", "delay_ms": 5}))
        == "slow kinesis for 2 s (delay_ms=5)"
    )


async def test_a_control_plane_that_is_away_is_noted(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}, {"kinesis": "http://127.0.0.1:1"}) as paths:
        done = deeds(paths)
        await done.one(Fault(0, "cut", "kinesis", 0, {"kind": "cut"}))
    assert "did not answer" in done.done[0].note
    assert aiohttp.ClientConnectorError.__name__ in done.done[0].note

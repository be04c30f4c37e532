"""Does the faults of a plan to a running stack, each as a task of its own at its time."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import aiohttp
import msgspec

from ops import control, stack_file
from ops.chaos.plan import STAGE_NAMES, Fault
from ops.chaos.spare import Spare
from ops.chaos.streams import Streams
from ops.chaos.talks import Session
from ops.errors import CommandError
from ops.parts import Options
from ops.paths import Paths
from ops.stack_file import Stack

DRAINED_WITHIN_S: Final = 20.0
"""A stage that is told to stop has drained by then."""
LOOK_EVERY_S: Final = 0.05
TRIES: Final = 5
AGAIN_AFTER_S: Final = 0.5
STAND_BY_EVERY_S: Final = 1.0
RUNS_WITHIN_S: Final = 90.0
"""A stage that ended by itself is at work again by then, under either runner."""


class Deed(msgspec.Struct, frozen=True):
    """A fault that was done. began_ms, ended_ms: Unix milliseconds; note: what did not go as planned."""

    fault: Fault
    began_ms: int
    ended_ms: int
    note: str = ""


class Deeds:
    """All faults of one run. say: tells people. ended: stages that ended by themselves, and were started again."""

    def __init__(
        self, stack: Stack, paths: Paths, options: Options, sessions: Sequence[Session], say: Callable[[str], None]
    ) -> None:
        self.done: list[Deed] = []
        self.ended: list[str] = []
        self._held_down: Counter[str] = Counter()  # parts that a fault ends and starts
        self._stack = stack
        self._paths = paths
        self._options = options
        self._sessions = sessions
        self._say = say
        self._streams = Streams(stack)
        self._how: dict[str, Callable[[Fault], Awaitable[str]]] = {
            "kill": self._kill,
            "kill-twin": self._kill,
            "freeze": self._freeze,
            "zombie": self._zombie,
            "rolling": self._rolling,
            "reconnect": self._reconnect,
            "split": self._streams.reshard,
            "merge": self._streams.reshard,
            "update": self._streams.reshard,
        }

    async def do(self, faults: Sequence[Fault], began: float) -> None:
        """All of them, at their times; began: when the talks did (`time.monotonic`). Raises CommandError."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._do(fault, began))

    async def _do(self, fault: Fault, began: float) -> None:
        await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
        self._say(f"{fault.at_s:6.1f} s  {described(fault)}")
        await self.one(fault)

    async def one(self, fault: Fault) -> None:
        """One of them, now. Raises CommandError."""
        began_ms = _now_ms()
        note = await self._how.get(fault.kind, self._switch)(fault)
        self.done.append(Deed(fault, began_ms, _now_ms(), note))
        if note:
            self._say(f"          {fault.kind} {fault.target}: {note}")

    # --- processes -----------------------------------------------------------------------------------------------

    async def stand_by(self) -> None:
        """Start stages again that have ended by themselves, as a service's scheduler does; until cancelled."""
        while True:
            await asyncio.sleep(STAND_BY_EVERY_S)
            found = stack_file.read(self._paths)
            parts = found.parts if found is not None else {}
            for name in STAGE_NAMES:
                if name in parts and parts[name].pid is None and not self._held_down[name]:
                    odd = await self._restart(name)
                    self.ended.append(f"{name} had ended by itself, and was started again{odd and ': ' + odd}")
                    self._say(f"          {self.ended[-1]}")

    @contextmanager
    def _holding_down(self, part: str) -> Iterator[None]:
        self._held_down[part] += 1
        try:
            yield
        finally:
            self._held_down[part] -= 1

    def _pid(self, part: str) -> int | None:
        found = stack_file.read(self._paths)
        status = found.parts.get(part) if found is not None else None
        return status.pid if status is not None else None

    async def _running(self, part: str) -> int:
        """Its process' id, when it has one: another fault may have it down. Raises CommandError."""
        began = time.monotonic()
        while (pid := self._pid(part)) is None:
            if time.monotonic() - began > RUNS_WITHIN_S:
                raise CommandError(f"{part} does not run")
            await asyncio.sleep(LOOK_EVERY_S)
        return pid

    async def _kill(self, fault: Fault) -> str:
        pid = await self._running(fault.target)
        with self._holding_down(fault.target):
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(fault.lasts_s)
            return await self._restart(fault.target)

    async def _restart(self, part: str) -> str:
        """Start it again, and wait until it is ready; what was odd. One that ends is started again, as services are."""
        odd: list[str] = []
        for _ in range(TRIES):
            try:
                await control.ask(self._paths.socket, control.Wish(do="restart", part=part))
            except CommandError as error:
                odd.append(str(error))
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                break
        return "; ".join(odd)

    async def _freeze(self, fault: Fault) -> str:
        group = await self._running(fault.target)  # each part leads a group; a KCL daemon's children are in it
        os.killpg(group, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts_s)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)
        return ""

    async def _zombie(self, fault: Fault) -> str:
        """Stop a stage past its lease while another worker is there to take over; let both be awake; end the other."""
        async with Spare(self._stack, self._paths, self._options, fault.target) as spare:
            await self._freeze(fault)
            taken = spare.has_taken_over()
            await asyncio.sleep(2.0)
        return "" if taken else "nobody took over"

    async def _rolling(self, fault: Fault) -> str:
        """Every stage in turn: a successor takes over, or it is told to stop and then started again."""
        roll = self._restart if fault.pick < 0.5 else self._stop_and_start
        notes: list[str] = []
        for name in STAGE_NAMES:
            with self._holding_down(name):
                notes.append(await roll(name))
        return "; ".join(filter(None, notes))

    async def _stop_and_start(self, part: str) -> str:
        pid = self._pid(part)
        if pid is None:
            return await self._restart(part)
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        while self._pid(part) == pid:
            if time.monotonic() - began > DRAINED_WITHIN_S:
                return f"{part} had not drained after {DRAINED_WITHIN_S:.0f} s; {await self._restart(part)}"
            await asyncio.sleep(LOOK_EVERY_S)
        return await self._restart(part)

    # --- twins and proxies ---------------------------------------------------------------------------------------

    async def _switch(self, fault: Fault) -> str:
        url = f"{self._control_url(fault.target)}/_herald/faults"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            note = await _ask(http, "PUT", url, [fault.put])
            await asyncio.sleep(fault.lasts_s)
            return note or await _ask(http, "DELETE", url)

    def _control_url(self, part: str) -> str:
        environment = self._stack.environment
        by_variable = {
            "transcribe-twin": "HERALD_TRANSCRIBE_CONTROL_URL",
            "kinesis-proxy": "HERALD_KINESIS_PROXY_CONTROL_URL",
            "dynamodb-proxy": "HERALD_DYNAMODB_PROXY_CONTROL_URL",
        }
        if part == "transcribe-twin":  # its control plane has another port after a restart
            found = stack_file.read(self._paths)
            environment = found.environment if found is not None else environment
        if part in by_variable:
            return environment[by_variable[part]]
        url = self._stack.parts[part].url
        assert url is not None
        return url

    # --- listeners -----------------------------------------------------------------------------------------------

    async def _reconnect(self, fault: Fault) -> str:
        session, _, number = fault.target.partition("/")
        try:
            await self._sessions[int(session)].seats[int(number)].reconnect(fault.lasts_s)
        except CommandError as error:
            return str(error)
        return ""


async def _ask(http: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> str:
    """Ask a control plane, patiently: its twin may be at the mercy of another fault. What went wrong, if it did."""
    error = ""
    for _ in range(TRIES):
        try:
            async with http.request(method, url, json=body) as answer:
                return "" if answer.status == 200 else f"the control plane answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as failed:
            error = type(failed).__name__
            await asyncio.sleep(AGAIN_AFTER_S)
    return f"the control plane did not answer: {error}"


def described(fault: Fault) -> str:
    """A fault in a line."""
    how = " ".join(f"{name}={value}" for name, value in fault.put.items() if name != "kind")
    lasting = f" for {fault.lasts_s:g} s" if fault.lasts_s else ""
    return f"{fault.kind} {fault.target}{lasting}" + (f" ({how})" if how else "")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

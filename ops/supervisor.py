"""`herald up`: starts the parts, says how each fares, and stops them all.

Nothing is restarted silently: when a part ends, the supervisor says which, how, where its log ends and how to start it
again, and goes on with the others. A stage that is restarted hands over, as in a rolling deploy: its successor starts
first, and takes its leases when it lets go of them. When the supervisor ends itself, however it ends, no process is
left: each part gets a signal from the kernel, and `ops.guard` ends what is left of their process groups.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Final

import aiohttp
import msgspec

from ops import control, stack_file
from ops.children import (
    GRACE_S,
    HAND_OVER_GRACE_S,
    KCL_GRACE_S,
    LOOK_EVERY_S,
    STAGE_GRACE_S,
    Child,
    Ready,
    program,
)
from ops.errors import CommandError
from ops.parts import PREFIX, READY_WITHIN_S, Context, Options, Part, base_environment, child_environment, given, parts
from ops.parts import part as part_named
from ops.paths import PROJECT, Paths, shown
from ops.stack_file import PartStatus, Stack
from streams.resources import STAGES

LOCALHOST: Final = "127.0.0.1"


class Supervisor:
    """One stack. say: how it tells people; one line each."""

    def __init__(self, options: Options, paths: Paths, say: Callable[[str], None]) -> None:
        self._options = options
        self._paths = paths
        self._say = say
        self._parts = parts(options)
        self._children: dict[str, Child] = {}
        self._ports: dict[str, int] = {}
        self._turns: dict[str, int] = {spec.name: 1 for spec in STAGES}
        self._ready = {found.name: asyncio.Event() for found in self._parts}
        self._watchers: set[asyncio.Task[None]] = set()
        self._expected_to_end: set[str] = set()
        self._busy = {found.name: asyncio.Lock() for found in self._parts}
        self._stage_grace_s = KCL_GRACE_S if options.runner == "kcl" else STAGE_GRACE_S
        gateway = f"{LOCALHOST}:{options.port}"
        self._stack = Stack(
            pid=os.getpid(),
            state="starting",
            url=f"ws://{gateway}/live",
            http=f"http://{gateway}",
            engine=options.engine,
            prefix=PREFIX,
            environment=base_environment(options, paths, secrets.token_hex(20)),
            parts={found.name: PartStatus(state="waiting", log=str(paths.log(found.name))) for found in self._parts},
        )

    async def run(self) -> None:
        """Until SIGTERM or Ctrl-C. Raises CommandError when a part cannot be started."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        with only_one(self._paths), guarded() as guard:
            self._guard = guard
            check_port(self._options.port)
            self._clear()
            starting = loop.create_task(self._start_all())
            stopping = loop.create_task(stop.wait())
            try:
                await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not stop.is_set():
                    starting.result()
                    await self._serve(stop)
            finally:
                for task in (starting, stopping):
                    task.cancel()
                await asyncio.gather(starting, stopping, return_exceptions=True)
                await self._stop_all()

    async def _serve(self, stop: asyncio.Event) -> None:
        async with control.serve(self._paths.socket, self._on_wish):
            self._stack.state = "ready"
            self._write()
            self._say(f"ready: {self._stack.url} (stop with Ctrl-C, or: kill {self._stack.pid})")
            await stop.wait()

    def _clear(self) -> None:
        """Without --keep each stack begins empty."""
        if not self._options.keep:
            for folder in (self._paths.kinesis, self._paths.dynamodb):
                shutil.rmtree(folder, ignore_errors=True)
        for found in self._parts:
            self._paths.log(found.name).unlink(missing_ok=True)
        self._write()

    def _write(self) -> None:
        stack_file.write(self._paths.stack_file, self._stack)

    # Starting

    async def _start_all(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for found in self._parts:
                    group.create_task(self._start_when_possible(found))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._say(f"all parts are ready after {time.monotonic() - began:.1f} s")

    async def _start_when_possible(self, found: Part) -> None:
        for name in found.needs:
            await self._ready[name].wait()
        await self._start(found)

    async def _start(self, found: Part) -> None:
        began = time.monotonic()
        status = self._stack.parts[found.name]
        if found.probe and not self._ports.get(found.name):
            self._ports[found.name] = free_port()
        context = Context(self._options, self._paths, self._ports.get(found.name, 0), self._turns.get(found.name, 1))
        environment = self._stack.environment | found.environment(context)
        argv = found.command(context)
        log = self._paths.log(found.name)
        child = await Child.start(found.name, argv, child_environment(os.environ, environment), log, PROJECT)
        self._note(f"+{child.pid}")
        self._children[found.name] = child
        status.state, status.pid, status.argv = "starting", child.pid, argv
        status.environment, status.ended = sorted(environment), None
        self._write()
        if found.finishes:
            await self._finish(found, child)
            return
        self._watch(found, child)
        ready = await (self._probe(found, child) if found.probe else child.ready(found.ready_within_s(self._options)))
        self._ports[found.name] = int(ready.url.rpartition(":")[2].partition("/")[0]) if ready.url else 0
        self._stack.environment |= given(found, ready)
        status.state, status.url = "ready", ready.url or None
        self._write()
        self._ready[found.name].set()
        where = f" at {ready.url}" if ready.url else ""
        took = time.monotonic() - began
        self._say(f"{found.name:<16} ready{where} after {took:.1f} s, log {shown(log)}")

    async def _finish(self, found: Part, child: Child) -> None:
        try:
            await asyncio.wait_for(child.wait(), READY_WITHIN_S)
        except TimeoutError as error:
            raise CommandError(f"{found.name} did not end; {child.last_words()}") from error
        self._note(f"-{child.pid}")
        if child.exit_code != 0:
            raise CommandError(f"{found.name} {child.ending()}; {child.last_words()}")
        status = self._stack.parts[found.name]
        status.state, status.pid = "done", None
        self._write()
        self._ready[found.name].set()
        self._say(f"{found.name:<16} done, log {shown(self._paths.log(found.name))}")

    async def _probe(self, found: Part, child: Child) -> Ready:
        url = f"http://{LOCALHOST}:{self._ports[found.name]}"
        deadline = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                if child.exit_code is not None:
                    raise CommandError(f"{found.name} {child.ending()} before it was ready; {child.last_words()}")
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{url}{found.probe}"):
                        return Ready(url, {})
                await asyncio.sleep(LOOK_EVERY_S)
        raise CommandError(f"{found.name} was not ready after {READY_WITHIN_S:.0f} s; {child.last_words()}")

    # Watching

    def _watch(self, found: Part, child: Child) -> None:
        watcher = asyncio.get_running_loop().create_task(self._until_it_ends(found, child))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _until_it_ends(self, found: Part, child: Child) -> None:
        ending = await child.wait()
        await child.stop()  # what is left of its group
        self._note(f"-{child.pid}")
        if self._children.get(found.name) is not child:
            return  # another has taken over
        status = self._stack.parts[found.name]
        was_ready = status.state == "ready"
        status.state, status.ended, status.pid = "stopped", ending, None
        self._write()
        if was_ready and found.name not in self._expected_to_end:
            self._say(
                f"{found.name} {ending} (pid {child.pid}); {child.last_words()}; "
                f"start it again with: herald restart {found.name}"
            )

    async def _on_wish(self, wish: control.Wish) -> str:
        if wish.do != "restart":
            raise CommandError(f"the supervisor cannot {wish.do!r}")
        found = part_named(wish.part, self._parts)
        if found.finishes:
            raise CommandError(f"{found.name} has done its work; there is nothing to restart")
        async with self._busy[found.name]:
            child = self._children.get(found.name)
            is_stage = found.name in self._turns and self._options.runner == "embedded"
            if is_stage and child is not None and child.exit_code is None:
                await self._hand_over(found, child)
            else:
                await self._stop(found.name)
                await self._start(found)
        return f"{found.name} is ready again (pid {self._children[found.name].pid})"

    async def _hand_over(self, found: Part, old: Child) -> None:
        """Start a successor; when it is ready, end the old one. Raises CommandError, and the old one goes on."""
        before = msgspec.structs.replace(self._stack.parts[found.name])
        turn = self._turns[found.name]
        self._turns[found.name] = 3 - turn
        try:
            await self._start(found)
        except CommandError:
            failed, self._children[found.name] = self._children[found.name], old
            self._turns[found.name], self._stack.parts[found.name] = turn, before
            if failed is not old:
                await failed.stop()
            self._write()
            raise
        await old.stop(HAND_OVER_GRACE_S)
        if old.exit_code != 0:  # it has not let go of its leases: only its namesake gets them at once
            self._turns[found.name] = turn
            await self._stop(found.name)
            await self._start(found)

    # Stopping

    async def _stop(self, name: str) -> None:
        child = self._children.get(name)
        if child is None:
            return
        self._expected_to_end.add(name)
        try:
            await child.stop(self._stage_grace_s)
            while self._stack.parts[name].state not in ("stopped", "done"):
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._expected_to_end.discard(name)

    async def _stop_all(self) -> None:
        self._stack.state = "stopping"
        self._write()
        self._expected_to_end.update(self._children)
        self._say("stopping")
        # Stages first: they drain, and write where they are to what stops after them.
        for wave, grace_s in ((stages(self._children), self._stage_grace_s), (self._children.values(), GRACE_S)):
            await asyncio.gather(*(child.stop(grace_s) for child in wave))
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if not self._options.keep:
            for folder in (self._paths.kinesis, self._paths.dynamodb):
                shutil.rmtree(folder, ignore_errors=True)
        self._paths.stack_file.unlink(missing_ok=True)
        self._say("stopped")

    def _note(self, line: str) -> None:
        self._guard.write(f"{line}\n")
        self._guard.flush()


def stages(children: Mapping[str, Child]) -> list[Child]:
    """The children that are stages."""
    return [children[spec.name] for spec in STAGES if spec.name in children]


@contextlib.contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """Hold the state folder's lock. Raises CommandError, saying where the first stack runs."""
    paths.state.mkdir(parents=True, exist_ok=True)
    with paths.lock_file.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            first = stack_file.read(paths)
            where = f"{first.url} (pid {first.pid}, {first.state})" if first else "it is starting"
            raise CommandError(f"a stack runs here already: {where}; see {shown(paths.stack_file)}") from error
        yield


@contextlib.contextmanager
def guarded() -> Iterator[IO[str]]:
    """Run the guard as long as this lasts; yields where process groups are noted."""
    process = subprocess.Popen(
        program("ops.guard"), stdin=subprocess.PIPE, text=True, start_new_session=True, cwd=PROJECT
    )
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def check_port(port: int) -> None:
    """Raises CommandError, naming the port, when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"port {port} is in use by another program; choose another with --port"
            else:
                message = f"port {port} cannot be used: {error.strerror}; choose another with --port"
            raise CommandError(message) from error


def free_port() -> int:
    """A port that is free now, for a program that cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


def tell(line: str) -> None:
    """Say a line to people; stdout belongs to results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()

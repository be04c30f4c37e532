"""Runs a stage as a program: settings, clients, the worker, signals.

    python -m stages.translate [--die-with-parent]

Prints `ready STAGE` on stdout when it reads; logs and metrics are JSON lines on stderr. SIGTERM drains and ends it.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from streams.aws import Clients
from streams.calls import note_breakers
from streams.catch_up import InputLog
from streams.dead_letters import DeadLetters
from streams.embedded import Options, Worker, poll_interval_s
from streams.errors import ConfigurationError, DuplicateWorker, HeraldError
from streams.journal import Journal
from streams.kinesis import OrderedWriter
from streams.leases import Leases
from streams.policy import Breaker
from streams.resources import DEAD_LETTERS, DEFAULT_PREFIX, SNAPSHOTS, STREAMS, StageSpec, lease_table, physical_name
from streams.runtime import Equipment
from streams.settings import load
from streams.snapshots import Snapshots
from streams.stage import Service, StageBuilder
from streams.telemetry import FLUSH_EVERY_S, Log, Metrics, place_of

PR_SET_PDEATHSIG: Final = 1
RELEASE: Final = "0.1.0"


class ProgramSettings(msgspec.Struct, frozen=True):
    """What every stage reads from the environment."""

    herald_prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")] = DEFAULT_PREFIX
    herald_worker_id: str = ""
    herald_journal: Literal["on", "off"] = "on"
    lease_failover_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0


class ProgramContext(NamedTuple):
    """What a stage's services may need to know of the program."""

    prefix: str
    worker_id: str
    log: Log
    metrics: Metrics

    def physical(self, name: str) -> str:
        """A stream's or table's name in this environment."""
        return physical_name(self.prefix, name)

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return time.time_ns() // 1_000_000


class StageDefinition(NamedTuple):
    """A stage as a program. settings: its own, read from the environment, given to `build` and `services`."""

    spec: StageSpec
    settings: type[msgspec.Struct]
    build: Callable[[Any], StageBuilder]
    services: Callable[[Any, Clients, ProgramContext], Awaitable[Sequence[Service]]]


def main(definition: StageDefinition, argv: Sequence[str] | None = None) -> int:
    """Run the stage until SIGTERM.

    0 after a clean end, 2 for a wrong setting, 78 when another process runs under its worker id, 1 for anything else.
    """
    parser = argparse.ArgumentParser(prog=f"stages.{definition.spec.name}", description=definition.__doc__)
    parser.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends")
    arguments = parser.parse_args(argv)
    if arguments.die_with_parent:
        _die_with_parent()
    try:
        program = load(ProgramSettings, os.environ)
        settings = load(definition.settings, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log = Log(definition.spec.name)
    try:
        asyncio.run(_run(definition, program, settings, log))
    except HeraldError as error:
        log.error("program", str(error), code=error.code)
        return DuplicateWorker.EXIT_CODE if isinstance(error, DuplicateWorker) else 1
    except Exception as error:  # noqa: BLE001 - the last place to name it, without what it may repeat
        log.error("program", "ended by an error", error=place_of(error))
        return 1
    return 0


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def _run(definition: StageDefinition, program: ProgramSettings, settings: Any, log: Log) -> None:
    spec = definition.spec
    worker_id = program.herald_worker_id or f"{spec.name}-{os.uname().nodename}"
    metrics = Metrics(spec.name)
    context = ProgramContext(program.herald_prefix, worker_id, log, metrics)
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(Clients())
        kinesis = await clients.get("kinesis")
        dynamodb = await clients.get("dynamodb")
        services = list(await definition.services(settings, clients, context))
        for service in services:
            stack.push_async_callback(service.close)
        writer = OrderedWriter(kinesis, context.physical(spec.output))
        stack.push_async_callback(writer.close)
        journal_writer = None
        if program.herald_journal == "on":
            journal_writer = OrderedWriter(kinesis, context.physical("journal"))
            stack.push_async_callback(journal_writer.close)
        journal = Journal(journal_writer, spec.name, worker_id, RELEASE, log)
        equipment = Equipment(
            stage=spec.name,
            build=definition.build(settings),
            services=services,
            breakers={service.name: Breaker() for service in services},
            writer=writer,
            snapshots=Snapshots(dynamodb, context.physical(SNAPSHOTS.name), spec.name),
            dead_letters=DeadLetters(dynamodb, context.physical(DEAD_LETTERS.name), spec.name, spec.input),
            journal=journal,
            log=log,
            metrics=metrics,
            source=InputLog(kinesis, context.physical(spec.input)),
        )
        leases = Leases(dynamodb, context.physical(lease_table(spec.name).name), worker_id)
        consumers = next(stream.consumers for stream in STREAMS if stream.name == spec.input)
        options = Options(
            input_stream=context.physical(spec.input),
            output_stream=context.physical(spec.output),
            poll_s=poll_interval_s(consumers),
            failover_s=program.lease_failover_s,
        )
        worker = Worker(kinesis, leases, equipment, worker_id, options)
        await _work(worker, journal, metrics, equipment.breakers, spec.name)


async def _work(worker: Worker, journal: Journal, metrics: Metrics, breakers: dict[str, Breaker], name: str) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    background = [loop.create_task(journal.run()), loop.create_task(_flush(metrics, breakers))]

    def ready() -> None:
        gc.freeze()  # what was made for the start stays; the collector need not walk it again
        sys.stdout.write(f"ready {name}\n")
        sys.stdout.flush()

    try:
        await worker.run(ready)
        await journal.flush()
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        metrics.flush()


async def _flush(metrics: Metrics, breakers: dict[str, Breaker]) -> None:
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        note_breakers(breakers, metrics, time.time_ns() // 1_000_000)
        metrics.flush()

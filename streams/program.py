"""Runs a stage as a program: settings, clients, the worker, signals.

    python -m stages.translate [--runner embedded|kcl] [--die-with-parent]

Prints `ready STAGE` on stdout when it reads; logs and metrics are JSON lines on stderr. SIGTERM drains and ends it.
Under the KCL this program starts the daemon, and the daemon starts it again for each shard, with `--kcl-shard`.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from streams.aws import Clients
from streams.breakers import OUTPUT, OUTPUT_OPEN_MS, Guard, note_breakers
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
RUNNERS: Final = ("embedded", "kcl")


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


class Outfit(NamedTuple):
    """All that a runner needs. leases: the name of the stage's lease table."""

    worker_id: str
    kinesis: Any
    dynamodb: Any
    leases: str
    equipment: Equipment
    options: Options


def main(definition: StageDefinition, argv: Sequence[str] | None = None) -> int:
    """Run the stage until SIGTERM.

    0 after a clean end, 2 for a wrong setting, 78 when another process runs under its worker id, 1 for anything else.
    """
    parser = argparse.ArgumentParser(prog=f"stages.{definition.spec.name}", description=definition.__doc__)
    parser.add_argument("--runner", choices=RUNNERS, default=RUNNERS[0], help="what reads the stream")
    parser.add_argument("--kcl-shard", action="store_true", help="work one shard; the KCL's daemon starts this")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends")
    arguments = parser.parse_args(argv)
    if arguments.die_with_parent:
        end_with_parent(signal.SIGTERM)
    try:
        program = load(ProgramSettings, os.environ)
        settings = load(definition.settings, os.environ)
        log = Log(definition.spec.name)
        return _run(arguments, definition, program, settings, log)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except HeraldError as error:
        log.error("program", str(error), code=error.code)
        return DuplicateWorker.EXIT_CODE if isinstance(error, DuplicateWorker) else 1
    except Exception as error:  # noqa: BLE001 - the last place to name it, without what it may repeat
        log.error("program", "ended by an error", error=place_of(error))
        return 1


def _run(
    arguments: argparse.Namespace, definition: StageDefinition, program: ProgramSettings, settings: Any, log: Log
) -> int:
    if arguments.kcl_shard:
        from streams import kcl

        return kcl.serve(definition, program, settings, log)
    if arguments.runner == "kcl":
        from streams import kcl_daemon

        return kcl_daemon.run(definition.spec, program, log)
    asyncio.run(_run_embedded(definition, program, settings, log))
    return 0


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)


def worker_id_of(program: ProgramSettings, name: str) -> str:
    """Who this worker is in the lease table: stable over restarts, unlike any other's."""
    return program.herald_worker_id or f"{name}-{os.uname().nodename}"


@asynccontextmanager
async def equipped(
    definition: StageDefinition, program: ProgramSettings, settings: Any, log: Log
) -> AsyncIterator[Outfit]:
    """Everything that a stage needs to run, for as long as this lasts; journal and metrics are written meanwhile."""
    spec = definition.spec
    worker_id = worker_id_of(program, spec.name)
    metrics = Metrics(spec.name)
    context = ProgramContext(program.herald_prefix, worker_id, log, metrics)
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(Clients())
        kinesis = await clients.get("kinesis")
        dynamodb = await clients.get("dynamodb")
        services = list(await definition.services(settings, clients, context))
        for service in services:
            stack.push_async_callback(service.close)
        breakers = {service.name: Breaker() for service in services} | {OUTPUT: Breaker(open_ms=OUTPUT_OPEN_MS)}
        guard = Guard(OUTPUT, breakers[OUTPUT], log, metrics)
        writer = OrderedWriter(kinesis, context.physical(spec.output), guard=guard)
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
            breakers=breakers,
            writer=writer,
            snapshots=Snapshots(dynamodb, context.physical(SNAPSHOTS.name), spec.name),
            dead_letters=DeadLetters(dynamodb, context.physical(DEAD_LETTERS.name), spec.name, spec.input),
            journal=journal,
            log=log,
            metrics=metrics,
            source=InputLog(kinesis, context.physical(spec.input)),
        )
        leases = context.physical(lease_table(spec.name).name)
        await stack.enter_async_context(_written(equipment))
        yield Outfit(worker_id, kinesis, dynamodb, leases, equipment, options_of(spec, program))


def options_of(spec: StageSpec, program: ProgramSettings) -> Options:
    """How a worker of the stage runs."""
    return Options(
        input_stream=physical_name(program.herald_prefix, spec.input),
        output_stream=physical_name(program.herald_prefix, spec.output),
        poll_s=poll_interval_s(next(stream.consumers for stream in STREAMS if stream.name == spec.input)),
        failover_s=program.lease_failover_s,
        drain_s=spec.drain_s,
    )


@asynccontextmanager
async def _written(equipment: Equipment) -> AsyncIterator[None]:
    journal, metrics = equipment.journal, equipment.metrics
    loop = asyncio.get_running_loop()
    background = [loop.create_task(journal.run()), loop.create_task(_flush(metrics, equipment.breakers))]
    try:
        yield
        await journal.flush()
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        metrics.flush()


async def _run_embedded(definition: StageDefinition, program: ProgramSettings, settings: Any, log: Log) -> None:
    name = definition.spec.name
    async with equipped(definition, program, settings, log) as outfit:
        leases = Leases(outfit.dynamodb, outfit.leases, outfit.worker_id)
        worker = Worker(outfit.kinesis, leases, outfit.equipment, outfit.worker_id, outfit.options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)

        def ready() -> None:
            gc.freeze()  # what was made for the start stays; the collector need not walk it again
            say_ready(name)

        await worker.run(ready)


def say_ready(name: str) -> None:
    """Tell who started this program that it reads."""
    sys.stdout.write(f"ready {name}\n")
    sys.stdout.flush()


async def _flush(metrics: Metrics, breakers: dict[str, Breaker]) -> None:
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        note_breakers(breakers, metrics, time.time_ns() // 1_000_000)
        metrics.flush()

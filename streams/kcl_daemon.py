"""Runs a stage under the Kinesis Client Library's daemon: prepares it, starts it, stands by it, ends with it.

    python -m stages.translate --runner kcl      this program: one process, beside
      java ... MultiLangDaemon                   the daemon: leases, reading, checkpoints
        python -m stages.translate --kcl-shard   a process per shard: see `kcl`

Standing by has two parts. `ready` is said when every shard that can be read is being read. And what a dead leader
leaves is taken over: only the library's leader gives leases to workers, and its lock lives two minutes past its end,
whatever the settings. So whoever stands by a worker takes leases for it that nobody has renewed for the failover time
and a little more, as a leader would: by writing the owner into the row, conditional on the counter. Its daemon finds
them.
"""

import asyncio
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from streams.aws import Clients
from streams.claims import Claim, Claims
from streams.embedded import Options
from streams.errors import ConfigurationError, DuplicateWorker, HeraldError, LeaseLost
from streams.kcl_shard import RUN
from streams.kinesis import list_shards
from streams.leases import new_run
from streams.program import ProgramSettings, end_with_parent, options_of, say_ready, worker_id_of
from streams.resources import StageSpec, lease_table, physical_name
from streams.telemetry import Log

STAND_BY_EVERY_S: Final = 1.0
LEADER_FIRST_S: Final = 3.0
"""Past the failover time, how long a leader that lives has to give an expired lease away itself."""
DRAIN_MS: Final = 6_000
"""`shutdownGraceMillis`: after SIGTERM, for the shards to drain and for the last checkpoints. The library's own default
is 0, which leaves them out. A daemon whose shard's process has died waits for so long before it ends."""
LOOK_EVERY_S: Final = 0.1
LOOKS_ALONE: Final = 3
ASSIGN_EVERY_MS: Final = 1_000
JVM: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-Xlog:disable")
ARCHIVE: Final = "herald.jsa"
"""Beside the jars, made by set-up: the daemon's classes as Java wants them in memory. Two seconds of its start."""
DAEMON: Final = "software.amazon.kinesis.multilang.MultiLangDaemon"
LOGBACK: Final = """<configuration>
  <appender name="stderr" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder class="ch.qos.logback.classic.encoder.JsonEncoder"/>
  </appender>
  <logger name="software.amazon.kinesis.multilang.DrainChildSTDERRTask" level="OFF"/>
  <logger name="software.amazon.kinesis.multilang.MultiLangShardRecordProcessor" level="INFO"/>
  <logger name="software.amazon.kinesis.leases.dynamodb.DynamoDBLeaseRefresher" level="INFO"/>
  <root level="WARN"><appender-ref ref="stderr"/></root>
</configuration>
"""
"""The drain task's own copy of each line that a shard's process logs is left out; the line itself passes as it is."""


def properties(
    spec: StageSpec, options: Options, worker_id: str, leases: str, shard_command: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """The daemon's settings; why they are as they are is in docs/kcl.md."""
    found = {
        "executableName": shard_command,
        "processingLanguage": f"python/herald-{spec.name}",
        "streamName": options.input_stream,
        "applicationName": leases,
        "workerId": worker_id,
        "AwsCredentialsProvider": "DefaultCredentialsProvider",
        "regionName": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", ""),
        "initialPositionInStream": "TRIM_HORIZON",
        "clientVersionConfig": "CLIENT_VERSION_CONFIG_3X",
        "retrievalMode": "POLLING",
        "idleTimeBetweenReadsInMillis": f"{options.poll_s * 1000:.0f}",
        "maxRecords": str(options.limit),
        "callProcessRecordsEvenForEmptyRecordList": "true",
        "failoverTimeMillis": f"{options.failover_s * 1000:.0f}",
        "leaseAssignmentIntervalMillis": str(ASSIGN_EVERY_MS),
        "shardSyncIntervalMillis": "5000",
        "parentShardPollIntervalMillis": "500",
        "listShardsBackoffTimeInMillis": "200",
        "schedulerInitializationBackoffTimeMillis": "200",
        "taskBackoffTimeMillis": "200",
        "workerMetricsReporterFreqInMillis": "1000",
        "disableWorkerMetrics": "true",
        "skipShardSyncAtWorkerInitializationIfLeasesExist": "true",
        "cleanupLeasesUponShardCompletion": "false",
        "shutdownGraceMillis": str(DRAIN_MS),
        "metricsLevel": "NONE",
    }
    for name, variable in (("kinesisEndpoint", "KINESIS"), ("dynamoDBEndpoint", "DYNAMODB")):
        if endpoint := environ.get(f"AWS_ENDPOINT_URL_{variable}"):
            found[name] = endpoint
    return found


def jars() -> Path:
    """The daemon's jars. Raises ConfigurationError, saying what to run, when something of the KCL is missing."""
    if shutil.which("java") is None:
        raise ConfigurationError("the KCL needs Java 17, and there is no java here; run: make kcl")
    try:
        from streams.kcl import jars as folder
    except ModuleNotFoundError as error:
        raise ConfigurationError("the KCL's Python package, amazon_kclpy, is not installed; run: make kcl") from error
    return Path(folder())


def own_command(main: Any, executable: str, argv: Iterable[str]) -> list[str]:
    """How this program was started: as a module, or as a file."""
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return [executable, "-m", spec.name.removesuffix(".__main__")]
    return [executable, os.path.abspath(next(iter(argv)))]


class Folder:
    """The daemon's files, as long as it runs: its settings, its logging, and what it starts for a shard."""

    def __init__(self, path: Path) -> None:
        self.properties = path / "kcl.properties"
        self.logback = path / "logback.xml"
        self._shard = path / "shard"

    @property
    def shard_command(self) -> str:
        """What the daemon runs; it parts the words at spaces, so the command itself is a file's business."""
        return f"/bin/sh {self._shard}"

    def write(self, found: Mapping[str, str], shard: Iterable[str]) -> None:
        """Write them."""
        self.properties.write_text("".join(f"{name} = {value}\n" for name, value in found.items()), encoding="utf-8")
        self.logback.write_text(LOGBACK, encoding="utf-8")
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in shard)
        self._shard.write_text(f"exec {quoted} --kcl-shard\n", encoding="utf-8")


def run(spec: StageSpec, program: ProgramSettings, log: Log) -> int:
    """Run the stage's daemon until SIGTERM; the exit code: 0 when it was told to end, else the daemon's own."""
    return asyncio.run(_run(spec, program, log, jars()))


async def _run(spec: StageSpec, program: ProgramSettings, log: Log, folder: Path) -> int:
    worker_id = worker_id_of(program, spec.name)
    options = options_of(spec, program)
    leases = physical_name(program.herald_prefix, lease_table(spec.name).name)
    run = new_run()
    with tempfile.TemporaryDirectory(prefix="herald-kcl-") as path:
        files = Folder(Path(path))
        found = properties(spec, options, worker_id, leases, files.shard_command, os.environ)
        files.write(found, own_command(sys.modules["__main__"], sys.executable, sys.argv))
        daemon = await _start(folder, files, run)  # first: it takes seconds until it looks at the leases
        try:
            async with Clients() as clients:
                claims = Claims(await clients.get("dynamodb"), leases, worker_id, run)
                kinesis = await clients.get("kinesis")
                by = StandBy(spec, claims, worker_id, options.failover_s, log)
                return await _stand_by(daemon, by, lambda: prepare(claims, kinesis, options.input_stream))
        finally:
            if daemon.returncode is None:
                daemon.kill()
                await daemon.wait()


async def _start(folder: Path, files: Folder, run: str) -> asyncio.subprocess.Process:
    archive = folder / ARCHIVE
    shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
    argv = ["java", *JVM, *shared, "-cp", f"{folder}/*", DAEMON]
    argv += ["--properties-file", str(files.properties), "--log-configuration", str(files.logback)]
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr,  # it prints nothing there; `ready` is this program's
        env=os.environ | {RUN: run},
        preexec_fn=lambda: end_with_parent(signal.SIGKILL),  # nobody stands by it any more
    )


async def prepare(claims: Claims, kinesis: Any, stream: str) -> dict[str, Claim]:
    """The leases as they are, when a new table has rows: without them a first start waits for up to 30 s, at random.

    A table that has rows is the daemon's business: it knows which shards were worked off before. Raises HeraldError:
    NotFound for a stream or table that does not exist, which the daemon would try to find for ever.
    """
    shards = await list_shards(kinesis, stream)
    if not await claims.rows():
        for shard in shards:
            await claims.create(shard)
    return await claims.claims()


async def _stand_by(
    daemon: asyncio.subprocess.Process, by: "StandBy", prepare_leases: Callable[[], Awaitable[dict[str, Claim]]]
) -> int:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    standing = loop.create_task(by.stand(prepare_leases))
    telling = loop.create_task(told.wait())
    ended = loop.create_task(daemon.wait())
    try:
        await asyncio.wait({standing, telling, ended}, return_when=asyncio.FIRST_COMPLETED)
        if standing.done():
            standing.result()  # raises what makes going on wrong
        if telling.done() and not ended.done():
            await _end(daemon)
        code = await ended
    finally:
        for task in (standing, telling, ended):
            task.cancel()
    return 0 if told.is_set() else max(1, code)


async def _end(daemon: asyncio.subprocess.Process) -> None:
    """SIGTERM; and SIGKILL when the last shard's process has gone: then all is written.

    The library can take a minute longer: a reading thread that nobody takes records from any more waits for somebody
    who does (`PrefetchRecordsPublisher.shutdown`).
    """
    daemon.send_signal(signal.SIGTERM)
    alone = 0
    while daemon.returncode is None and alone < LOOKS_ALONE:
        await asyncio.sleep(LOOK_EVERY_S)
        alone = 0 if children_of(daemon.pid) else alone + 1
    if daemon.returncode is None:
        daemon.kill()


def children_of(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found


class StandBy:
    """What is done beside a daemon."""

    def __init__(self, spec: StageSpec, claims: Claims, worker_id: str, failover_s: float, log: Log) -> None:
        self._spec = spec
        self._claims = claims
        self._worker_id = worker_id
        self._patience_s = failover_s + LEADER_FIRST_S
        self._before: Mapping[str, Claim] = {}
        self._log = log
        self._is_ready = False
        self._seen: dict[str, tuple[int, float]] = {}

    async def stand(self, prepare_leases: Callable[[], Awaitable[dict[str, Claim]]]) -> None:
        """Until cancelled. prepare_leases: gives the leases as they are at the start.

        What is away is waited for, from the first moment on. Raises HeraldError for what no retry mends.
        """
        has_begun = False
        while True:
            try:
                if not has_begun:
                    self.begin(await prepare_leases())
                    has_begun = True
                claims = await self._claims.claims()
                self._look_for_namesakes(claims)
                if not self._is_ready and self._all_are_read(claims):
                    self._is_ready = True
                    say_ready(self._spec.name)
                await self._take_over(claims, time.monotonic())
            except HeraldError as error:
                if not error.retryable:
                    raise
                self._log.warning("standBy", "trying again", code=error.code)
            await asyncio.sleep(STAND_BY_EVERY_S if self._is_ready else STAND_BY_EVERY_S / 5)

    def begin(self, leases: Mapping[str, Claim]) -> None:
        """Take these for the leases as they were when the daemon was started."""
        self._before = leases

    def _all_are_read(self, claims: Mapping[str, Claim]) -> bool:
        """Whether each shard that can be read is read: my own by a process that was started since the start."""
        found = workable(claims)
        for claim in found:
            old = self._before.get(claim.lease.shard_id)
            mine_from_before = claim.owner == self._worker_id and old is not None and claim.number <= old.number
            if claim.owner is None or claim.reading < claim.number or claim.number == 0 or mine_from_before:
                return False
        return bool(found)

    def _look_for_namesakes(self, claims: Mapping[str, Claim]) -> None:
        """Two daemons under one worker id would take the leases from each other for ever: the older one ends."""
        earlier = {claim.lease.run for claim in self._before.values()}
        for shard_id, claim in claims.items():
            run = claim.lease.run
            if claim.owner == self._worker_id and run > self._claims.run and run not in earlier:
                raise DuplicateWorker(
                    f"another daemon runs under the worker id {self._worker_id} and works {shard_id}; this one, the"
                    " older, ends: every daemon needs an id of its own (HERALD_WORKER_ID)"
                )

    async def _take_over(self, claims: Mapping[str, Claim], now: float) -> None:
        expired = self._expired(claims, now)
        silent = {claim.owner for claim in expired}
        if self._worker_id in silent:
            return  # this daemon is frozen or away: it is not the one to take more
        living = {claim.owner for claim in claims.values()} - silent - {None}
        share = math.ceil(len(expired) / len(living | {self._worker_id}))
        for claim in random.sample(expired, share):
            try:
                await self._claims.take(claim.lease)
            except LeaseLost:
                continue  # another worker was faster, or the owner has come back
            self._log.warning("lease", "taken over: nobody renewed it", shard=claim.lease.shard_id, owner=claim.owner)

    def _expired(self, claims: Mapping[str, Claim], now: float) -> list[Claim]:
        """The leases that nobody has renewed, nor given away, for longer than a leader that lives would wait."""
        found = []
        for claim in workable(claims):
            counter, since = self._seen.get(claim.lease.shard_id, (-1, now))
            if counter != claim.lease.counter:
                self._seen[claim.lease.shard_id] = (claim.lease.counter, now)
            elif now - since > self._patience_s:
                found.append(claim)
        return found


def workable(claims: Mapping[str, Claim]) -> list[Claim]:
    """The leases of shards that have not ended and whose parents have."""
    return [
        claim
        for claim in claims.values()
        if not claim.lease.ended
        and all(parent not in claims or claims[parent].lease.ended for parent in claim.lease.parents)
    ]

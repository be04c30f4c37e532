"""What stands by a KCL daemon: its settings, its files, and whose leases it takes over."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from streams.claims import Claim, Claims
from streams.embedded import Options
from streams.errors import ConfigurationError, DuplicateWorker, NotFound, TimedOut, Unavailable
from streams.kcl_daemon import (
    LEADER_FIRST_S,
    Folder,
    StandBy,
    children_of,
    jars,
    own_command,
    prepare,
    properties,
    workable,
)
from streams.kinesis import Shard, list_shards
from streams.leases import SHARD_END
from streams.resources import StageSpec
from streams.telemetry import Log
from tests.streams.conftest import make_stream

ROOT = Path(__file__).parents[2]
SPEC = StageSpec("transcribe", "audio", "transcripts")
OPTIONS = Options("p-audio", "p-transcripts", 0.5, failover_s=10.0)
FAILOVER_S = 10.0
OVER_S = FAILOVER_S + LEADER_FIRST_S + 0.1
PARENT = Shard("shardId-000000000000", (), 0, 2**128 - 1, False)
LEFT = Shard("shardId-000000000001", (PARENT.shard_id,), 0, 2**127 - 1, True)
RIGHT = Shard("shardId-000000000002", (PARENT.shard_id,), 2**127, 2**128 - 1, True)


def test_settings_are_the_stage_s_and_the_environment_s() -> None:
    environ = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_KINESIS": "http://127.0.0.1:1"}
    found = properties(SPEC, OPTIONS, "transcribe-7", "p-leases-transcribe", "/bin/sh /x/shard", environ)
    assert found["workerId"] == "transcribe-7"
    assert found["applicationName"] == "p-leases-transcribe"
    assert found["streamName"] == "p-audio"
    assert found["failoverTimeMillis"] == "10000"
    assert found["idleTimeBetweenReadsInMillis"] == "500"
    assert found["regionName"] == "eu-west-1"
    assert found["kinesisEndpoint"] == "http://127.0.0.1:1"
    assert "dynamoDBEndpoint" not in found
    assert int(found["shutdownGraceMillis"]) > 0


def test_the_shard_s_command_survives_the_daemon_s_parting_at_spaces(tmp_path: Path) -> None:
    strange = tmp_path / "it's a folder"
    strange.mkdir()
    echo = strange / "echo arguments"
    echo.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    echo.chmod(0o700)
    files = Folder(tmp_path)
    files.write({"workerId": "w"}, [str(echo), "-m", "stages.copy"])
    said = subprocess.run(files.shard_command.split(), capture_output=True, text=True, check=True).stdout
    assert said == "-m|stages.copy|--kcl-shard|"
    assert files.properties.read_text() == "workerId = w\n"


def test_a_program_is_started_again_as_it_was_started() -> None:
    module = types.SimpleNamespace(__spec__=types.SimpleNamespace(name="stages.copy.__main__"))
    assert own_command(module, "python", []) == ["python", "-m", "stages.copy"]
    assert own_command(types.SimpleNamespace(__spec__=None), "python", ["/a/b.py"]) == ["python", "/a/b.py"]


def test_the_installed_jars_are_those_that_we_know() -> None:
    lines = (ROOT / "ops/kcl-jars.sha256").read_text().splitlines()
    known = {name: digest for digest, name in (line.split() for line in lines)}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in jars().glob("*.jar")}
    assert found == known


def test_without_java_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match="run: make kcl"):
        jars()


def test_children_are_found() -> None:
    sleep = shutil.which("sleep")
    assert sleep
    with subprocess.Popen([sleep, "60"]) as child:
        assert child.pid in children_of(os.getpid())
        child.kill()
        child.wait()
        assert child.pid not in children_of(os.getpid())


class Table:
    """Leases, and the workers that have them: `me` stands by its daemon here."""

    def __init__(self, dynamo: Any, name: str) -> None:
        self.claims = {worker: Claims(dynamo, name, worker) for worker in ("me", "leader", "third")}

    async def make(self, *shards: Shard) -> None:
        for shard in shards:
            await self.claims["me"].create(shard)

    async def give(self, worker: str, shard: Shard, *, read: bool = False) -> None:
        claims = self.claims[worker]
        await claims.take((await claims.list())[shard.shard_id])
        if read:
            await claims.note_reading(await claims.claim(shard.shard_id))

    async def end(self, worker: str, shard: Shard) -> None:
        claims = self.claims[worker]
        await claims.checkpoint((await claims.list())[shard.shard_id], SHARD_END)

    async def renew(self, worker: str, shard: Shard) -> None:
        await self.claims[worker].renew((await self.claims[worker].list())[shard.shard_id])

    async def stand_by(self) -> StandBy:
        claims = self.claims["me"]
        by = StandBy(SPEC, claims, "me", FAILOVER_S, Log("copy"))
        by.begin(await claims.claims())
        return by

    async def owners(self) -> dict[str, str | None]:
        return {shard_id: lease.owner for shard_id, lease in (await self.claims["me"].list()).items()}

    async def look(self, by: StandBy, now_s: float) -> None:
        await by._take_over(await self.claims["me"].claims(), now_s)


@pytest.fixture
def table(dynamo: Any, leases_table: str) -> Table:
    return Table(dynamo, leases_table)


async def test_what_a_dead_leader_had_is_taken_over(table: Table) -> None:
    await table.make(LEFT, RIGHT)
    await table.give("leader", LEFT)
    await table.give("me", RIGHT)
    by = await table.stand_by()
    await table.look(by, 0.0)
    await table.renew("me", RIGHT)
    await table.look(by, FAILOVER_S)
    assert (await table.owners())[LEFT.shard_id] == "leader"  # a leader that lives gives it away itself
    await table.renew("me", RIGHT)
    await table.look(by, OVER_S)
    assert set((await table.owners()).values()) == {"me"}


async def test_who_renews_keeps_its_lease(table: Table) -> None:
    await table.make(LEFT)
    await table.give("leader", LEFT)
    by = await table.stand_by()
    for now_s in range(0, 60, 5):
        await table.look(by, float(now_s))
        await table.renew("leader", LEFT)
    assert (await table.owners())[LEFT.shard_id] == "leader"


async def test_a_lease_that_nobody_was_given_is_taken(table: Table) -> None:
    await table.make(LEFT)
    by = await table.stand_by()
    await table.look(by, 0.0)
    await table.look(by, OVER_S)
    assert (await table.owners())[LEFT.shard_id] == "me"


async def test_survivors_share(table: Table) -> None:
    await table.make(PARENT, LEFT, RIGHT)
    await table.give("me", PARENT)
    await table.end("me", PARENT)
    await table.give("leader", LEFT)
    await table.give("leader", RIGHT)
    third = Shard("shardId-000000000003", (), 0, 1, True)
    await table.make(third)
    await table.give("third", third)
    by = await table.stand_by()
    await table.look(by, 0.0)
    await table.renew("third", third)
    await table.look(by, OVER_S)
    owners = await table.owners()
    assert sorted(filter(None, (owners[LEFT.shard_id], owners[RIGHT.shard_id]))) == ["leader", "me"]


async def test_with_a_frozen_daemon_of_its_own_it_takes_nothing(table: Table) -> None:
    await table.make(LEFT, RIGHT)
    await table.give("me", LEFT)
    await table.give("leader", RIGHT)
    by = await table.stand_by()
    await table.look(by, 0.0)
    await table.look(by, OVER_S)
    assert (await table.owners())[RIGHT.shard_id] == "leader"


async def test_of_two_daemons_under_one_id_the_older_ends(table: Table, dynamo: Any, leases_table: str) -> None:
    await table.make(LEFT)
    await table.give("me", LEFT, read=True)
    older = await table.stand_by()
    namesake = Claims(dynamo, leases_table, "me", run="9" * 13)
    await namesake.claim(LEFT.shard_id)
    claims = await namesake.claims()
    with pytest.raises(DuplicateWorker, match="worker id me"):
        older._look_for_namesakes(claims)
    younger = StandBy(SPEC, namesake, "me", FAILOVER_S, Log("copy"))
    younger.begin(claims)
    younger._look_for_namesakes(claims)
    after = await table.stand_by()  # one that is started after it has ended, by a clock that is behind
    after._look_for_namesakes(claims)


async def test_a_child_waits_for_its_parent(table: Table) -> None:
    await table.make(PARENT, LEFT)
    assert [claim.lease.shard_id for claim in workable(await table.claims["me"].claims())] == [PARENT.shard_id]
    await table.give("me", PARENT)
    await table.end("me", PARENT)
    assert [claim.lease.shard_id for claim in workable(await table.claims["me"].claims())] == [LEFT.shard_id]


async def test_ready_when_every_shard_is_read_since_the_start(table: Table) -> None:
    await table.make(LEFT, RIGHT)
    await table.give("me", LEFT, read=True)
    by = await table.stand_by()
    await table.give("leader", RIGHT, read=True)
    claims = table.claims["me"]
    assert not by._all_are_read(await claims.claims())  # mine is read by what I was before
    await claims.claim(LEFT.shard_id)
    assert not by._all_are_read(await claims.claims())
    await claims.note_reading((await claims.claims())[LEFT.shard_id])
    assert by._all_are_read(await claims.claims())


async def test_a_table_that_is_away_at_the_start_is_waited_for(
    table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    await table.make(LEFT)
    await table.give("me", LEFT, read=True)
    claims = table.claims["me"]
    failures = [Unavailable("the table is away"), TimedOut("the table says nothing")]

    async def leases() -> dict[str, Claim]:
        if failures:
            raise failures.pop()
        found = await claims.claims()
        await claims.claim(LEFT.shard_id)
        await claims.note_reading((await claims.claims())[LEFT.shard_id])
        return found

    standing = asyncio.create_task(StandBy(SPEC, claims, "me", FAILOVER_S, Log("copy")).stand(leases))
    async with asyncio.timeout(20):
        while "ready" not in capsys.readouterr().out:
            assert not standing.done()
            await asyncio.sleep(0.05)
    standing.cancel()
    assert not failures


async def test_a_stream_that_does_not_exist_ends_it(table: Table, kinesis: Any) -> None:
    by = StandBy(SPEC, table.claims["me"], "me", FAILOVER_S, Log("copy"))
    with pytest.raises(NotFound):
        await by.stand(lambda: prepare(table.claims["me"], kinesis, "nothing-of-that-name"))


async def test_a_new_table_gets_a_row_for_each_shard_and_an_old_one_is_left_alone(
    table: Table, kinesis: Any, prefix: str
) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in", 2)
    await prepare(table.claims["me"], kinesis, stream)
    ids = {shard.shard_id for shard in await list_shards(kinesis, stream)}
    assert set(await table.owners()) == ids
    other = await make_stream(kinesis, f"{prefix}-other", 3)
    await prepare(table.claims["me"], kinesis, other)
    assert set(await table.owners()) == ids


def test_the_stage_s_command_line_knows_both_runners() -> None:
    argv = [sys.executable, "-m", "stages.broadcast", "--help"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--runner {embedded,kcl}" in said

"""Under the real KCL daemon, whatever happens to it during a talk, every word is heard once and in order."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.kcl_daemon import children_of
from tests.e2e import stored
from tests.e2e.whole_stack import WholeStack, finished, tone_talk, wait_for_first_sound, words_heard
from tests.support.kcl_worker import KclWorker, unreadable

FAILOVER_S = 4.0
UTTERANCES = 34
"""Longer than all that happens: 2.8 s each."""
WITHIN_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Services:
    """What the test does to the stack's streams and tables."""

    def __init__(self, environment: dict[str, str]) -> None:
        prefix = environment["HERALD_PREFIX"]
        self._kinesis, self._dynamodb = stored.client(environment, "kinesis"), stored.client(environment, "dynamodb")
        self._stream, self._leases = f"{prefix}-audio", f"{prefix}-leases-transcribe"

    def open_shards(self) -> list[dict[str, Any]]:
        shards = self._kinesis.list_shards(StreamName=self._stream)["Shards"]
        return sorted(
            (shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]),
            key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]),
        )

    def split_all(self) -> None:
        for shard in self.open_shards():
            ends = [int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending")]
            self._when_active(
                self._kinesis.split_shard, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(sum(ends) // 2)
            )

    def merge_all(self) -> None:
        ids = [shard["ShardId"] for shard in self.open_shards()]
        for left, right in zip(ids[::2], ids[1::2], strict=True):
            self._when_active(self._kinesis.merge_shards, ShardToMerge=left, AdjacentShardToMerge=right)

    def _when_active(self, call: Callable[..., Any], **arguments: str) -> None:
        def active() -> bool:
            summary = self._kinesis.describe_stream_summary(StreamName=self._stream)
            return bool(summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

        until(active)
        call(StreamName=self._stream, **arguments)

    def owners(self) -> set[str | None]:
        """Who works the open shards, by what the processes themselves have noted in their leases."""
        rows = {row["leaseKey"]["S"]: row for row in self._dynamodb.scan(TableName=self._leases)["Items"]}
        mine = [rows.get(shard["ShardId"], {}) for shard in self.open_shards()]
        return {
            row["leaseOwner"]["S"] if "heraldReading" in row and row["heraldReading"] == row["heraldClaim"] else None
            for row in mine
        }

    def give_leases_to(self, worker_id: str) -> None:
        """So that the next worker of that name need not wait."""
        for row in self._dynamodb.scan(TableName=self._leases)["Items"]:
            self._dynamodb.update_item(
                TableName=self._leases,
                Key={"leaseKey": row["leaseKey"]},
                UpdateExpression="SET leaseOwner = :w",
                ExpressionAttributeValues={":w": {"S": worker_id}},
            )


@pytest.fixture
def services(tone_stack: WholeStack) -> Iterator[Services]:
    """Transcribe is the test's own; afterwards it is the stack's again."""
    found = Services(tone_stack.environment)
    tone_stack.signal("transcribe", signal.SIGTERM)
    until(lambda: tone_stack.described()["parts"]["transcribe"]["state"] == "stopped")
    yield found
    found.give_leases_to("transcribe-1")
    tone_stack.restart("transcribe")


def test_whatever_happens_to_workers_under_the_kcl(tone_stack: WholeStack, services: Services, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 20_000, UTTERANCES, words=5)
    environment = tone_stack.environment | {"LEASE_FAILOVER_S": str(FAILOVER_S)}
    one, two = (KclWorker(tmp_path, "stages.transcribe", f"transcribe-{n}", environment) for n in (1, 2))
    with one, two:
        one.start()
        talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "en")
        wait_for_first_sound(talk)

        services.split_all()
        until(lambda: services.owners() == {"transcribe-1"})
        services.merge_all()
        until(lambda: services.owners() == {"transcribe-1"})

        os.kill(one.shards[0], signal.SIGKILL)
        assert one.ended() == 1
        one.start()

        os.kill(one.daemon, signal.SIGKILL)
        assert one.ended() == 1
        two.start()
        until(lambda: services.owners() == {"transcribe-2"})

        two.signal_all(signal.SIGSTOP)
        one.start()
        until(lambda: services.owners() == {"transcribe-1"})
        two.signal_all(signal.SIGCONT)

        assert one.stop() == 0
        until(lambda: services.owners() == {"transcribe-2"})

        report = finished(talk)
        assert two.stop() == 0
    assert words_heard(report, "en") == said
    assert (report["lost"], report["duplicated"], report["reordered"], report["unheard_ms"]) == (0, 0, 0, 0)
    assert not unreadable(one.log + two.log)


def test_a_whole_stack_under_the_kcl(tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 30_000, 5, words=5)
    stack = WholeStack(tmp_path, "tones", runner="kcl")
    try:
        talk = stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")
        wait_for_first_sound(talk)
        stack.restart("translate")
        assert words_heard(finished(talk), "es") == said
        parts = {part["pid"] for part in stack.described()["parts"].values() if part["pid"]}
        daemons = {pid for part in parts for pid in children_of(part)}
        shards = {pid for daemon in daemons for pid in children_of(daemon)}
        assert len(shards) == 4
        stack.kill_supervisor()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts | daemons | shards))
    finally:
        stack.stop()

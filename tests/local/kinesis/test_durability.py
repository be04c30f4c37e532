"""Acknowledged is durable, and a reader skips nothing: with concurrent writers and `kill -9`."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.local.kinesis.support import client, running

_WRITERS = 4
_KILLS = 2
_ACKNOWLEDGED_BETWEEN_KILLS = 600


class _Writer(threading.Thread):
    """Puts numbered records, one by one and in batches in turn; notes what was acknowledged, and where."""

    def __init__(self, url: str, name: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._kinesis = client(url)
        self._label = name
        self._stop_writing = stop
        self.acknowledged: list[tuple[str, str, bytes]] = []  # shard, sequence number, data

    def run(self) -> None:
        numbers = itertools.count()
        while not self._stop_writing.is_set():
            batch = [f"{self._label}-{next(numbers)}".encode() for _ in range(5)]
            try:
                self._put(batch)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)  # the twin is dead: what was not acknowledged may or may not be there

    def _put(self, batch: list[bytes]) -> None:
        first = self._kinesis.put_record(StreamName="talk", Data=batch[0], PartitionKey=self._label)
        self.acknowledged.append((first["ShardId"], first["SequenceNumber"], batch[0]))
        entries = [{"Data": data, "PartitionKey": f"{self._label}{data[-1]}"} for data in batch[1:]]
        answer = self._kinesis.put_records(StreamName="talk", Records=entries)
        for data, record in zip(batch[1:], answer["Records"], strict=True):
            self.acknowledged.append((record["ShardId"], record["SequenceNumber"], data))


class _Reader(threading.Thread):
    """Follows one shard from its start, through the twin's deaths, until told to end at a quiet tip."""

    def __init__(self, url: str, shard_id: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._kinesis = client(url)
        self._shard_id = shard_id
        self._stop_reading = stop
        self.seen: list[tuple[str, bytes]] = []

    def run(self) -> None:
        place = self._kinesis.get_shard_iterator(
            StreamName="talk", ShardId=self._shard_id, ShardIteratorType="TRIM_HORIZON"
        )
        iterator = place["ShardIterator"]
        while True:
            ending = self._stop_reading.is_set()
            try:
                page = self._kinesis.get_records(ShardIterator=iterator)
            except (BotoCoreError, ClientError):
                time.sleep(0.02)
                continue
            self.seen += [(record["SequenceNumber"], record["Data"]) for record in page["Records"]]
            iterator = page["NextShardIterator"]
            if ending and not page["Records"] and page["MillisBehindLatest"] == 0:
                return


def _everything(kinesis: Any, shard_id: str) -> list[tuple[str, bytes]]:
    place = kinesis.get_shard_iterator(StreamName="talk", ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")
    records, iterator = [], place["ShardIterator"]
    while True:
        page = kinesis.get_records(ShardIterator=iterator)
        records += [(record["SequenceNumber"], record["Data"]) for record in page["Records"]]
        iterator = page["NextShardIterator"]
        if page["MillisBehindLatest"] == 0:
            return records


def test_acknowledged_records_survive_kill_and_are_read_once_in_order(tmp_path: Path) -> None:
    options = ("--data", str(tmp_path), "--limits", "off", "--transition-ms", "0", "--cache-mib", "1")
    stop_writing, stop_reading = threading.Event(), threading.Event()
    shard_ids = [f"shardId-{number:012d}" for number in range(2)]
    writers: list[_Writer] = []
    readers: list[_Reader] = []
    port = 0
    try:
        for life in range(_KILLS + 1):
            with running(*options, "--port", str(port)) as twin:
                port = twin.port
                if life == 0:
                    client(twin.url).create_stream(StreamName="talk", ShardCount=2)
                    writers = [_Writer(twin.url, f"w{number}", stop_writing) for number in range(_WRITERS)]
                    readers = [_Reader(twin.url, shard_id, stop_reading) for shard_id in shard_ids]
                    for thread in (*writers, *readers):
                        thread.start()
                target = sum(len(writer.acknowledged) for writer in writers) + _ACKNOWLEDGED_BETWEEN_KILLS
                deadline = time.monotonic() + 20
                while sum(len(writer.acknowledged) for writer in writers) < target:
                    assert time.monotonic() < deadline, "the writers stand still"
                    time.sleep(0.01)
                if life < _KILLS:
                    twin.kill()
                    continue
                stop_writing.set()
                for writer in writers:
                    writer.join()
                stop_reading.set()
                for reader in readers:
                    reader.join()
                stored = {shard_id: _everything(client(twin.url), shard_id) for shard_id in shard_ids}
    finally:
        stop_writing.set()
        stop_reading.set()

    acknowledged: dict[str, dict[str, bytes]] = defaultdict(dict)
    for writer in writers:
        for shard_id, number, data in writer.acknowledged:
            acknowledged[shard_id][number] = data
    assert len(acknowledged) == 2
    for shard_id, reader in zip(shard_ids, readers, strict=True):
        numbers = [int(number) for number, _ in reader.seen]
        assert numbers == sorted(set(numbers)), "seen twice, or out of order"
        assert acknowledged[shard_id].items() <= dict(reader.seen).items(), "acknowledged and not seen"
        assert stored[shard_id] == reader.seen, "seen and not kept, or kept and not seen"


def test_restart_serves_the_same_streams(tmp_path: Path) -> None:
    with running("--data", str(tmp_path), "--transition-ms", "0") as twin:
        kinesis = client(twin.url)
        kinesis.create_stream(StreamName="talk", ShardCount=1, Tags={"a": "b"})
        kinesis.put_record(StreamName="talk", Data=b"one", PartitionKey="k")
        kinesis.split_shard(StreamName="talk", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
        before = kinesis.describe_stream(StreamName="talk")["StreamDescription"]
    assert twin.child.returncode == 0
    with running("--data", str(tmp_path), "--transition-ms", "0") as twin:
        kinesis = client(twin.url)
        assert kinesis.describe_stream(StreamName="talk")["StreamDescription"] == before
        assert kinesis.list_tags_for_stream(StreamName="talk")["Tags"] == [{"Key": "a", "Value": "b"}]
        assert _closed(kinesis) == [b"one"]


def _closed(kinesis: Any) -> list[bytes]:
    place = kinesis.get_shard_iterator(
        StreamName="talk", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    return [record["Data"] for record in kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]]

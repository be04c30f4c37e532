from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.provision import table_definition
from streams.aws import Clients
from streams.resources import CONNECTIONS, STAGES, STREAMS, TABLES, lease_table
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin, running


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    with kinesis_twin() as kinesis, dynamodb(tmp_path) as dynamo:
        yield CREDENTIALS | {"AWS_ENDPOINT_URL_KINESIS": kinesis, "AWS_ENDPOINT_URL_DYNAMODB": dynamo}


async def test_it_makes_all_there_is_and_again_changes_nothing(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for shards in ("2", "3"):
        argv = [sys.executable, "-m", "local.provision", "--shards", shards, "--prefix", "p"]
        with running(argv, environ, stdout=subprocess.PIPE) as process:
            assert process.wait(60) == 0
    async with Clients() as clients:
        kinesis, dynamo = await clients.get("kinesis"), await clients.get("dynamodb")
        assert set((await kinesis.list_streams())["StreamNames"]) == {f"p-{stream.name}" for stream in STREAMS}
        for stream in STREAMS:
            summary = (await kinesis.describe_stream_summary(StreamName=f"p-{stream.name}"))["StreamDescriptionSummary"]
            assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 2)
        wanted = [*TABLES, *(lease_table(stage.name) for stage in STAGES)]
        assert set((await dynamo.list_tables())["TableNames"]) == {f"p-{table.name}" for table in wanted}
        for table in wanted:
            found = (await dynamo.describe_table(TableName=f"p-{table.name}"))["Table"]
            assert [key["AttributeName"] for key in found["KeySchema"]] == [
                key for key in (table.hash_key, table.range_key) if key
            ]
            assert {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])} == {
                index.name for index in table.indexes
            }
            ttl = (await dynamo.describe_time_to_live(TableName=f"p-{table.name}"))["TimeToLiveDescription"]
            assert ttl.get("AttributeName") == table.ttl


def test_every_key_is_defined_once() -> None:
    definition = table_definition("p-Connections", CONNECTIONS)
    names = [row["AttributeName"] for row in definition["AttributeDefinitions"]]
    assert names == ["connectionId", "sessionId", "targetLanguage"]
    assert definition["BillingMode"] == "PAY_PER_REQUEST"

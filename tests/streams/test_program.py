"""A stage as a program: wrong settings are named, it says when it reads, and SIGTERM ends it."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.errors import DuplicateWorker
from streams.resources import DEAD_LETTERS, SNAPSHOTS, lease_table
from tests.streams.conftest import make_stream, make_table
from tests.support.services import running

PROGRAM = """
import sys
import msgspec
from streams.program import StageDefinition, main
from streams.resources import StageSpec
from tests.support.copy_stage import CopyStage

class Settings(msgspec.Struct, frozen=True):
    copies: int = 1

async def services(settings, clients, context):
    return []

sys.exit(main(StageDefinition(StageSpec("copy", "audio", "transcripts"), Settings, lambda s: CopyStage, services)))
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "copier.py"  # not copy.py: that is the library's
    path.write_text(PROGRAM)
    return str(path)


@pytest.mark.parametrize(
    ("variable", "value"), [("HERALD_PREFIX", "no spaces"), ("COPIES", "many"), ("LEASE_FAILOVER_S", "0")]
)
def test_a_wrong_setting_is_named_in_one_sentence(script: str, variable: str, value: str) -> None:
    environ = {variable: value, "PYTHONPATH": "."}
    with running([sys.executable, script], environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert said.startswith(f"{variable} is wrong")
    assert said.count("\n") == 1


async def provide(kinesis: Any, dynamo: Any, prefix: str) -> None:
    for name in ("audio", "transcripts", "journal"):
        await make_stream(kinesis, f"{prefix}-{name}")
    for spec in (SNAPSHOTS, DEAD_LETTERS, lease_table("copy")._replace(indexes=())):
        await make_table(dynamo, prefix, spec)


def environment(prefix: str, worker_id: str, kinesis_url: str, dynamodb_url: str, **more: str) -> dict[str, str]:
    return {
        "HERALD_PREFIX": prefix,
        "HERALD_WORKER_ID": worker_id,
        "AWS_ENDPOINT_URL_KINESIS": kinesis_url,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "PYTHONPATH": ".",
        **more,
    }


async def test_of_two_processes_with_one_worker_id_the_older_ends_with_a_code_of_its_own(
    script: str, kinesis: Any, dynamo: Any, prefix: str, kinesis_url: str, dynamodb_url: str
) -> None:
    await provide(kinesis, dynamo, prefix)
    environ = environment(prefix, "w", kinesis_url, dynamodb_url)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running([sys.executable, script], environ, **pipes) as older:
        assert older.stdout is not None
        assert older.stdout.readline() == "ready copy\n"
        with running([sys.executable, script], environ, **pipes) as newer:
            assert newer.stdout is not None
            assert newer.stdout.readline() == "ready copy\n"
            _, logged = await asyncio.to_thread(older.communicate, timeout=20)
            assert newer.poll() is None
            newer.send_signal(signal.SIGTERM)
            newer.communicate(timeout=10)
    assert (older.returncode, newer.returncode) == (DuplicateWorker.EXIT_CODE, 0)
    assert "another process runs under the worker id w" in json.loads(logged.splitlines()[-1])["message"]


async def test_it_says_ready_works_and_ends_well_on_sigterm(
    script: str, kinesis: Any, dynamo: Any, prefix: str, kinesis_url: str, dynamodb_url: str
) -> None:
    await provide(kinesis, dynamo, prefix)
    environ = environment(prefix, "w", kinesis_url, dynamodb_url)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running([sys.executable, script, "--die-with-parent"], environ, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready copy\n"
        process.send_signal(signal.SIGTERM)
        rest, logged = process.communicate(timeout=10)
    assert process.returncode == 0
    assert rest == ""
    lines = [json.loads(line) for line in logged.splitlines()]
    assert [line["message"] for line in lines if line.get("operation") == "lease"] == ["taken", "released"]


def test_a_missing_stream_ends_it_with_the_name(script: str, kinesis_url: str, dynamodb_url: str) -> None:
    environ = {
        "HERALD_PREFIX": "nowhere",
        "AWS_ENDPOINT_URL_KINESIS": kinesis_url,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "PYTHONPATH": ".",
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running([sys.executable, script], environ, **pipes) as process:
        said, logged = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said == ""
    assert "nowhere-audio" in logged

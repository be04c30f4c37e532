import time
from pathlib import Path

import boto3
import msgspec
import pytest

from ops.errors import CommandError
from ops.observed import observing
from streams.records import Record, SessionEvent, encode
from streams.resources import STREAMS
from tests.ops.test_report import observed
from tests.ops.test_stack_file import a_stack
from tests.support.services import CREDENTIALS, kinesis_twin

POLL_S = 0.3


async def test_a_sessions_records_are_read_in_order_and_no_others(tmp_path: Path) -> None:
    wanted = observed()
    with kinesis_twin() as url:
        stack = a_stack()
        stack.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL_KINESIS": url}
        kinesis = boto3.client(
            "kinesis",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        for stream in STREAMS:
            kinesis.create_stream(StreamName=f"herald-{stream.name}", ShardCount=2)
        for stream in STREAMS:
            kinesis.get_waiter("stream_exists").wait(
                StreamName=f"herald-{stream.name}", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
            )
        since_ms = int(time.time() * 1000) - 1000

        def put(stream: str, record: Record) -> None:
            kinesis.put_record(StreamName=f"herald-{stream}", Data=encode(record), PartitionKey=record.session_id)

        ended = SessionEvent(session_id="s", event="ended", timestamp=2)
        told = msgspec.structs.replace(wanted.receipts[0], of="event", utterance_id=ended.event_id)
        put("transcripts", SessionEvent(session_id="another", event="ended", timestamp=1))
        for transcript in wanted.transcripts:
            put("transcripts", transcript)
        for frame in wanted.emotions:
            put("emotions", frame)
        async with observing(stack, "s", since_ms, POLL_S) as observer:
            put("speech", msgspec.structs.replace(wanted.speech[0], pcm=b"\0\0"))
            put("receipts", wanted.receipts[0])
            put("transcripts", ended)
            put("speech", ended)
            put("receipts", told)
            assert await observer.finished() == wanted._replace(receipts=[wanted.receipts[0], told])


async def test_a_stream_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with kinesis_twin() as url:
        stack = a_stack()
        stack.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL_KINESIS": url}
        async with observing(stack, "s", 0, POLL_S) as observer:
            with pytest.raises(CommandError, match="cannot be read"):
                await observer.finished()

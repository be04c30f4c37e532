import time
from pathlib import Path

import boto3

from ops.observed import observe
from streams.records import Record, SessionEvent, encode
from streams.resources import STREAMS
from tests.ops.test_report import observed
from tests.ops.test_stack_file import a_stack
from tests.support.services import CREDENTIALS, kinesis_twin


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

        put("transcripts", SessionEvent(session_id="another", event="created", timestamp=1))
        for transcript in wanted.transcripts:
            put("transcripts", transcript)
        for frame in wanted.emotions:
            put("emotions", frame)
        put("speech", wanted.speech[0])
        put("receipts", wanted.receipts[0])

        assert await observe(stack, "s", since_ms) == wanted

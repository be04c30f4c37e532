"""The journal holds every step in order, replies in full, and says where steps are missing."""

from typing import Any, ClassVar

import msgspec
import pytest

from streams import journal as journal_module
from streams.errors import Failure
from streams.journal import Journal, JournalEntry
from streams.kinesis import OrderedWriter
from streams.stage import Position, Reply, Request
from streams.telemetry import Log
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all

SEQUENCE = 49_653_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_001


class Spoken(msgspec.Struct, frozen=True, tag=True):
    pcm: bytes


class Ask(Request, frozen=True):
    dependency: ClassVar[str] = "oracle"


async def entries(kinesis: Any, stream: str) -> list[JournalEntry]:
    rows = (await read_all(kinesis, stream)).get("s", [])
    return [msgspec.msgpack.decode(row, type=JournalEntry) for row in rows]


async def test_steps_come_back_in_order_and_in_full(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    journal = Journal(writer, "translate", "w-1", "0.1.0", Log("translate"))
    failure = Failure("Refused", "no", retryable=False)
    journal.note("s", "start", 1, Position("shard", 7))
    journal.note("s", "input", 2, Position("shard", SEQUENCE))
    journal.note("s", "reply", 3, reply=Reply("1", Spoken(bytes(5_000)), None, 2, 3))
    journal.note("s", "reply", 4, reply=Reply("2", None, failure, 2, 4))
    journal.note("s", "timer", 5)
    await journal.flush()
    (entry,) = await entries(kinesis, stream)
    assert (entry.session_id, entry.stage, entry.worker, entry.release) == ("s", "translate", "w-1", "0.1.0")
    assert [step.what for step in entry.steps] == ["start", "input", "reply", "reply", "timer"]
    assert [step.now_ms for step in entry.steps] == [1, 2, 3, 4, 5]
    assert entry.steps[1].position == ("shard", str(SEQUENCE))
    spoken, refused = entry.steps[2].reply, entry.steps[3].reply
    assert spoken is not None
    assert spoken.value == {"type": "Spoken", "pcm": bytes(5_000)}
    assert refused is not None
    assert refused.failure == failure
    await writer.close()


async def test_more_than_a_record_holds_is_several_and_more_than_memory_holds_is_said(
    kinesis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    monkeypatch.setattr(journal_module, "MAX_RECORD_BYTES", 1_000)
    monkeypatch.setattr(journal_module, "MAX_WAITING_BYTES", 3_000)
    journal = Journal(writer, "translate", "w", "0", Log("translate"))
    for number in range(10):
        journal.note("s", "reply", number, reply=Reply(str(number), Spoken(bytes(400))))
    await journal.flush()
    journal.note("s", "timer", 99)
    await journal.flush()
    steps = [step for entry in await entries(kinesis, stream) for step in entry.steps]
    kept = [step for step in steps if step.what == "reply"]
    lost = [step for step in steps if step.what == "lost"]
    assert [step.now_ms for step in kept] == list(range(len(kept)))
    assert len(kept) + sum(step.lost for step in lost) == 10
    assert steps[-1].what == "timer"
    await writer.close()


async def test_switched_off_it_keeps_nothing() -> None:
    journal = Journal(None, "translate", "w", "0", Log("translate"))
    journal.note("s", "timer", 1)
    await journal.flush()
    assert journal._steps == {}

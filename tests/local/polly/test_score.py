from __future__ import annotations

import msgspec

from local.polly.score import Failed, Job, Mark, Passage, Prosody, Rest, Spoken, Utter, Word


def test_spans_are_bytes_of_the_request() -> None:
    passage = Passage("é b", Prosody(), (7, 9, 10))
    assert passage.span(0, 1) == (7, 9)
    assert passage.span(0, 3) == (7, 11)
    assert passage.span(2, 3) == (10, 11)


def test_the_span_of_an_alias_is_what_it_stands_for() -> None:
    passage = Passage("World Wide Web", Prosody(), (7, 10), source="WWW", marks=((0, Mark("m", 1, 2)),))
    assert passage.span(3, 8) == (7, 10)


def test_both_ways_over_the_wire() -> None:
    job = Job([Utter("a", "es", 1.0, 0.0, None), Rest(5.0, True)], 8_000)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=Job) == job
    for answer in (Spoken(b"\0\1", [0.0, 1.0], [Word(0, 0, 1, 0.0)]), Failed("why")):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Spoken | Failed) == answer

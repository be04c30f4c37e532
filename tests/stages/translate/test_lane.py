"""One language: order of captions and speech, and what is under way at once."""

import msgspec

from stages.translate.emitted import Emitted
from stages.translate.items import OpenCalls, TranscriptItem
from stages.translate.lane import Job, Lane
from stages.translate.prosody import prosody
from stages.translate.requests import Synthesize, Synthesized, Translate, Translated
from stages.translate.state import Utterance
from streams.lag import LagBudget
from streams.records import NEUTRAL, Caption, SpeechPart
from streams.stage import Call, Effect, Emit, Input, Position, Reply
from tests.stages.translate.services import LOUD
from tests.stages.translate.transcripts import SESSION, transcript

BUDGET = LagBudget.of(5, 45, 10)


class Bench:
    """A lane, with the calls that it has open."""

    def __init__(self, language: str = "es", ahead: int = 3, emitted: Emitted | None = None) -> None:
        self.known = emitted or Emitted()
        self.calls: OpenCalls[Job | TranscriptItem] = OpenCalls()
        self.lane = Lane(language, SESSION, ahead, BUDGET, self.calls)
        self.now_ms = 0
        self.utterance = Utterance(0)
        self.open: list[Call] = []
        self.emitted: list[object] = []

    def add(self, clause: int) -> None:
        record = transcript("clause", f"clause {clause}", clause * 600, clause=clause)
        item = TranscriptItem(Input(Position("s", clause), record, 0, 0), record, self.utterance, record.words, clause)
        item.dynamics, item.pending = NEUTRAL, 1
        self.lane.add_clause(item, self.known)
        self.note(list(self.lane.advance(self.now_ms)))

    def answer(self, kind: type, clause: int) -> None:
        call = next(c for c in self.open if isinstance(c.request, kind) and f"clause {clause}" in c.request.text)  # type: ignore[attr-defined]  # both kinds have a text
        self.open.remove(call)
        job = self.calls.take(call.call_id)
        assert isinstance(job, Job)
        value = Translated(f"<clause {clause}>") if kind is Translate else Synthesized(b"12", "", "v", 16_000)
        self.note(list(self.lane.on_reply(job, Reply(call.call_id, value), self.now_ms)))

    def note(self, effects: list[Effect]) -> None:
        self.open += [effect for effect in effects if isinstance(effect, Call)]
        self.emitted += [effect.record for effect in effects if isinstance(effect, Emit)]

    def told(self) -> list[str]:
        return [
            f"{'said' if isinstance(r, SpeechPart) else 'shown'} {r.text}"
            for r in self.emitted
            if isinstance(r, SpeechPart | Caption)
        ]


def test_captions_go_ahead_of_speech_and_both_in_order() -> None:
    bench = Bench()
    for clause in range(3):
        bench.add(clause)
    bench.answer(Translate, 1)
    assert bench.told() == []
    bench.answer(Synthesize, 1)
    bench.answer(Translate, 0)
    assert bench.told() == ["shown <clause 0>", "shown <clause 0> <clause 1>"]
    bench.answer(Synthesize, 0)
    assert bench.told()[2:] == ["said <clause 0>", "said <clause 1>"]
    assert bench.lane.spoken == 2


def test_only_so_many_clauses_are_under_way() -> None:
    bench = Bench(ahead=2)
    for clause in range(4):
        bench.add(clause)
    assert len(bench.open) == 2
    bench.answer(Translate, 0)
    bench.answer(Synthesize, 0)
    assert len(bench.open) == 2


def test_a_clause_begun_before_a_restore_goes_on_as_it_was_begun() -> None:
    """Asked again, its dynamics may be others, and its sound longer or shorter: the parts would not fit."""
    bench = Bench("en")
    bench.add(0)
    bench.answer(Synthesize, 0)
    (begun,) = [record for record in bench.emitted if isinstance(record, SpeechPart)]
    emitted = Emitted()
    emitted.note_speech(msgspec.structs.replace(begun, parts=2, dynamics=LOUD))
    bench = Bench("en", emitted=emitted)
    bench.add(0)
    (call,) = bench.open
    assert isinstance(call.request, Synthesize)
    assert call.request.prosody == prosody(LOUD)


def test_own_language_needs_no_translation() -> None:
    bench = Bench("en")
    bench.add(0)
    assert [type(call.request) for call in bench.open] == [Synthesize]
    assert bench.told() == ["shown clause 0"]

"""The translate stage as a state machine: lists of inputs and what comes of them."""

from collections import Counter
from functools import partial
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.translate.logic import builder
from stages.translate.requests import FindDynamics, FindLanguages, Synthesize, Translate
from stages.translate.settings import TranslateSettings
from streams import times
from streams.errors import NewerVersion
from streams.records import NEUTRAL, AudioChunk, Caption, Record, SessionEvent, SpeechPart, Transcript
from streams.stage import Call
from tests.stages.translate.services import LOUD, Services
from tests.stages.translate.transcripts import SESSION, event, transcript
from tests.support.stage_driver import World


def world(services: Services, settings: TranslateSettings | None = None) -> World:
    return World(builder(settings or TranslateSettings()), SESSION, services)


def speech(records: list[Record], language: str) -> list[SpeechPart]:
    return [record for record in records if isinstance(record, SpeechPart) and record.language == language]


def captions(records: list[Record], language: str) -> list[Caption]:
    return [record for record in records if isinstance(record, Caption) and record.language == language]


def test_a_clause_is_translated_and_spoken_once_per_language() -> None:
    services = Services("es", "ca")
    w = world(services)
    position = w.publish(transcript("clause", "one two three", 0))
    w.run_for(200)
    assert services.count(Translate) == services.count(Synthesize) == 2
    for language in ("ca", "es"):
        (part,) = speech(w.emitted(), language)
        assert part.text == f"{language}(one two three)"
        assert (part.clause, part.sequence, part.part, part.parts, part.total_bytes) == (0, 0, 0, 1, 3_200)
        assert part.dynamics == LOUD
        assert {"captured", "transcriptsWritten", "translateRead", "translationCalled", "synthesisAnswered"} <= set(
            part.times_ms
        )
        (caption,) = captions(w.emitted(), language)
        assert (caption.text, caption.committed, caption.final) == (part.text, len(part.text), False)
    assert w.is_done(position)


def test_a_session_without_listeners_costs_no_call() -> None:
    services = Services()
    w = world(services)
    position = w.publish(transcript("clause", "one two three", 0))
    w.run_for(100)
    assert [type(call.request) for call in services.asked] == [FindLanguages]
    assert w.emitted() == []
    assert w.is_done(position)


def test_the_speakers_own_language_is_spoken_without_translation() -> None:
    services = Services("en")
    w = world(services)
    w.publish(transcript("clause", "one two three", 0))
    w.run_for(100)
    assert services.count(Translate) == 0
    assert speech(w.emitted(), "en")[0].text == "one two three"


def test_partials_are_captions_in_the_speakers_own_language_only() -> None:
    services = Services("en", "es")
    w = world(services)
    for record in [
        transcript("partial", "one", 0, revision=1),
        transcript("partial", "one two", 0, revision=2),
        transcript("clause", "one two", 0, revision=3),
        transcript("partial", "three", 600, revision=4, clause=1),
        transcript("clause", "three four", 600, revision=5, clause=1),
        transcript("final", "one two three four", 0, revision=6, clause=2),
    ]:
        w.publish(record)
        w.run_for(100)
    shown = [(c.text, c.committed, c.final) for c in captions(w.emitted(), "en")]
    assert shown == [
        ("one", 0, False),
        ("one two", 0, False),
        ("one two", 7, False),
        ("one two three", 7, False),
        ("one two three four", 18, False),
        ("one two three four", 18, True),
    ]
    assert [c.text for c in captions(w.emitted(), "es")] == [
        "es(one two)",
        "es(one two) es(three four)",
        "es(one two) es(three four)",
    ]
    assert all(a.revision < b.revision for a, b in pairwise(captions(w.emitted(), "en")))
    assert [part.clause for part in speech(w.emitted(), "es")] == [0, 1]


def test_of_waiting_partials_the_latest_wins() -> None:
    services = Services("en")
    services.delay_ms = lambda call: 1_000
    w = world(services)
    positions = [w.publish(transcript("partial", text, 0, revision=i)) for i, text in enumerate(["a", "a b", "a b c"])]
    w.run_for(1_500)
    assert [c.text for c in captions(w.emitted(), "en")] == ["a b c"]
    assert all(w.is_done(position) for position in positions)


def test_a_slow_language_delays_no_other_and_order_holds() -> None:
    services = Services("es", "ca")
    delays = iter([900, 100, 500, 50, 700, 20])

    def delay_ms(call: Call) -> int:
        return next(delays, 10) if isinstance(call.request, Translate) and call.request.target == "es" else 10

    services.delay_ms = delay_ms
    w = world(services)
    for i in range(5):
        w.publish(transcript("clause", f"clause number {i}", i * 900, clause=i))
    w.run_for(200)
    assert [part.sequence for part in speech(w.emitted(), "ca")] == [0, 1, 2, 3, 4]
    assert speech(w.emitted(), "es") == []
    w.run_for(5_000)
    assert [(part.clause, part.sequence) for part in speech(w.emitted(), "es")] == [(i, i) for i in range(5)]


def test_no_more_than_some_clauses_are_ahead() -> None:
    services = Services("es")
    services.delay_ms = lambda call: 10_000 if isinstance(call.request, Translate) else 10
    w = world(services, TranslateSettings(clauses_ahead=2))
    for i in range(5):
        w.publish(transcript("clause", f"clause number {i}", i * 900, clause=i))
    w.run_for(1_000)
    assert services.count(Translate) == 2


def test_a_failure_in_one_language_harms_no_other() -> None:
    services = Services("es", "ca")
    services.fails = lambda call: (
        isinstance(call.request, Synthesize) and "one" in call.request.text and (call.request.language == "es")
    )
    w = world(services)
    first = w.publish(transcript("clause", "one two", 0))
    second = w.publish(transcript("clause", "three four", 600, clause=1))
    w.run_for(500)
    assert [part.clause for part in speech(w.emitted(), "ca")] == [0, 1]
    assert [(part.clause, part.sequence) for part in speech(w.emitted(), "es")] == [(1, 0)]
    assert len(captions(w.emitted(), "es")) == 2
    assert w.rejected[first].code == "Refused"
    assert second not in w.rejected
    assert w.is_done(second)


def test_a_failed_translation_leaves_no_caption() -> None:
    services = Services("es")
    services.fails = lambda call: isinstance(call.request, Translate) and "one" in call.request.text
    w = world(services)
    first = w.publish(transcript("clause", "one two", 0))
    w.publish(transcript("clause", "three four", 600, clause=1))
    w.run_for(500)
    assert [c.text for c in captions(w.emitted(), "es")] == ["es(three four)"]
    assert first in w.rejected


def test_unknown_listeners_are_a_failure_that_is_named() -> None:
    services = Services("es")
    services.fails = lambda call: isinstance(call.request, FindLanguages)
    w = world(services)
    position = w.publish(transcript("clause", "one two", 0))
    w.run_for(100)
    assert w.rejected[position].code == "Refused"


@pytest.mark.parametrize("switch", ["fails", "off"])
def test_without_emotion_speech_is_neutral(switch: str) -> None:
    services = Services("es")
    services.fails = lambda call: isinstance(call.request, FindDynamics)
    w = world(services, TranslateSettings(enable_emotion_detection="true" if switch == "fails" else "false"))
    position = w.publish(transcript("clause", "one two", 0))
    w.run_for(200)
    assert speech(w.emitted(), "es")[0].dynamics == NEUTRAL
    assert services.count(FindDynamics) == (1 if switch == "fails" else 0)
    assert any(count.metric == "EmotionExtractionErrors" for count in w.counts) == (switch == "fails")
    assert position not in w.rejected


def test_a_language_that_appears_begins_with_the_next_clause() -> None:
    services = Services("es")
    w = world(services)
    w.publish(transcript("clause", "one two", 0))
    w.run_for(200)
    services.listening = ["ca", "es"]
    w.publish(transcript("clause", "three four", 600, clause=1))
    w.run_for(200)
    assert [part.text for part in speech(w.emitted(), "ca")] == ["ca(three four)"]


def test_events_pass_after_all_before_and_before_all_after() -> None:
    services = Services("es")
    services.delay_ms = lambda call: 500
    w = world(services)
    w.publish(transcript("clause", "one two", 0))
    paused = w.publish(event("paused"))
    again = w.publish(event("paused"))
    w.publish(transcript("clause", "three four", 600, clause=1))
    ended = w.publish(event("ended", 2))
    w.run_for(10_000)
    kinds = [
        r.event if isinstance(r, SessionEvent) else r.clause
        for r in w.emitted()
        if isinstance(r, SessionEvent | SpeechPart)
    ]
    assert kinds == [0, "paused", 1, "ended"]
    assert all(w.is_done(position) for position in (paused, again, ended))


def test_a_change_that_is_out_of_date_or_was_passed_on_is_settled() -> None:
    """Row W18; by the next owner too, who learns what was passed on from its snapshot, or from what was written."""
    w = world(Services("es"))
    changes = [msgspec.structs.replace(event("volume"), version=version) for version in (2, 1, 2, 3)]
    positions = [w.publish(change) for change in changes]
    w.run_for(1_500)
    w.owner.tick()
    for saved in (w.saved, None):
        w.owner.kill()
        w.saved = saved
        w.take_over()
    positions.append(w.publish(changes[3]))
    positions.append(w.publish(msgspec.structs.replace(event("volume"), version=4)))
    w.run_for(200)
    assert [record.version for record in w.emitted() if isinstance(record, SessionEvent)] == [2, 3, 4]
    assert all(w.is_done(position) for position in positions)


def test_words_that_were_committed_are_not_spoken_again() -> None:
    services = Services("es")
    w = world(services)
    w.publish(transcript("clause", "one two three", 0))
    w.publish(transcript("clause", "one two three", 0))
    w.publish(transcript("clause", "two three four", 320, clause=0, utterance=f"{SESSION}:320"))
    w.publish(transcript("partial", "one two", 0, revision=9))
    w.publish(transcript("clause", "four yes", 930, clause=0, utterance=f"{SESSION}:930"))
    w.run_for(500)
    assert [part.text for part in speech(w.emitted(), "es")] == ["es(one two three)", "es(four)", "es(yes)"]


def test_a_clause_with_new_words_under_an_old_number_gets_the_next() -> None:
    services = Services("es")
    w = world(services)
    w.publish(transcript("clause", "one two", 0))
    w.publish(transcript("clause", "one two three", 0))
    w.run_for(500)
    assert [(part.clause, part.text) for part in speech(w.emitted(), "es")] == [(0, "es(one two)"), (1, "es(three)")]


def test_long_speech_is_cut_into_records() -> None:
    services = Services("es")
    services.pcm_bytes = 1_000_000
    w = world(services)
    w.publish(transcript("clause", "one two", 0))
    w.run_for(500)
    parts = speech(w.emitted(), "es")
    assert [(p.part, p.parts, p.offset_bytes, len(p.pcm)) for p in parts] == [
        (0, 3, 0, 480_000),
        (1, 3, 480_000, 480_000),
        (2, 3, 960_000, 40_000),
    ]
    assert {p.sequence for p in parts} == {0}


def test_a_record_that_does_not_belong_is_rejected() -> None:
    w = world(Services())
    position = w.publish(AudioChunk(session_id=SESSION, connection="c", admitted_at_ms=0, pcm=b""))
    w.run_for(10)
    assert w.rejected[position].code == "UnexpectedRecord"


def test_a_newer_snapshot_is_refused() -> None:
    with pytest.raises(NewerVersion):
        builder(TranslateSettings())(SESSION, msgspec.msgpack.encode({"v": 2}))


def test_late_replies_of_another_life_are_ignored() -> None:
    w = world(Services("es"))
    w.owner.reply("translate-7", None)
    w.run_for(10)
    assert w.emitted() == []


def _talk() -> list[Record]:
    """Three utterances of some clauses each, with partials, finals and events."""
    records: list[Record] = [event("created", 0)]
    at_ms = 0
    for n in range(3):
        utterance = f"{SESSION}:{at_ms}"
        start_ms, revision = at_ms, 0
        for clause in range(3):
            for text in (f"u{n}", f"u{n} c{clause}", f"u{n} c{clause} end"):
                revision += 1
                status = "clause" if text.endswith("end") else "partial"
                records.append(transcript(status, text, at_ms, clause=clause, revision=revision, utterance=utterance))
            at_ms += 900
        records.append(transcript("final", "all", start_ms, clause=3, revision=revision + 1, utterance=utterance))
    return [*records, event("ended", 9)]


def _check_once_in_order(emitted: list[Record], language: str) -> None:
    spoken = [(p.utterance_id, p.clause, p.part) for p in speech(emitted, language)]
    assert [count for count in Counter(spoken).values() if count > 1] == []
    assert [(p.start_ms, p.sequence) for p in speech(emitted, language)] == [(i * 900, i) for i in range(9)]
    for utterance in {c.utterance_id for c in captions(emitted, language)}:
        shown = [c for c in captions(emitted, language) if c.utterance_id == utterance]
        assert all(b.text.startswith(a.text[: a.committed]) for a, b in pairwise(shown))
        assert all(a.revision < b.revision for a, b in pairwise(shown))
        assert shown[-1].final
        assert sum(c.final for c in shown) == 1
        assert all(shown[-1].text.count(f"c{clause}") == 1 for clause in range(3))


@given(
    delays=st.lists(st.integers(1, 800), min_size=8, max_size=8),
    kills=st.lists(st.integers(0, 12_000), max_size=4),
    put_ms=st.integers(1, 60),
)
@settings(max_examples=80, deadline=None)
def test_killed_at_any_step_every_clause_is_said_once_in_order(
    delays: list[int], kills: list[int], put_ms: int
) -> None:
    services = Services("en", "es")
    services.delay_ms = lambda call: delays[len(services.asked) % 8]
    w = World(builder(TranslateSettings()), SESSION, services, lambda: put_ms)
    started = w.now_ms
    for i, record in enumerate(_talk()):
        w.at(started + i * 250, partial(w.publish, record))
    for kill_ms in sorted(kills):
        w.run_until(max(w.now_ms, started + kill_ms))
        w.owner.kill()
        w.run_for(2 * put_ms)  # what was being written lands before anybody reads the stream back
        w.take_over()
    w.run_for(60_000)
    for language in ("en", "es"):
        _check_once_in_order(w.emitted(), language)
    assert isinstance(w.emitted()[-1], SessionEvent)
    assert Counter(r.event for r in w.emitted() if isinstance(r, SessionEvent)) == {"created": 1, "ended": 1}
    assert w.rejected == {}


def _late(record: Transcript, spoken_ms: int) -> Transcript:
    return msgspec.structs.replace(record, times_ms={times.SPOKEN: spoken_ms})


def _backlog(w: World, clauses: int, every_ms: int = 2_000) -> None:
    """Clauses that were said one after another until now, and come all at once."""
    for i in range(clauses):
        record = transcript("clause", f"clause number {i}", i * 900, clause=i)
        w.publish(_late(record, w.now_ms - (clauses - i) * every_ms))


def test_what_is_too_late_is_shown_and_not_spoken_until_the_speaker_is_near() -> None:
    services = Services("es")
    w = world(services)
    _backlog(w, 30)
    w.run_for(3_000)
    told = speech(w.emitted(), "es")
    assert [part.clause for part in told] == list(range(30))
    late = [part for part in told if part.skipped_by]
    assert [part.clause for part in late] == list(range(26))  # said 60 s to 10 s ago
    assert all(part.skipped_by == "translate" and not part.pcm and part.parts == 1 for part in late)
    assert late[0].text == "es(clause number 0)"
    assert [part.sequence for part in told[26:]] == [0, 1, 2, 3]
    assert services.count(Synthesize) == 4
    assert captions(w.emitted(), "es")[-1].text.endswith("es(clause number 29)")
    assert sum(count.value for count in w.counts if count.metric == "SpeechSkipped") == 26
    assert w.rejected == {}


def test_after_half_a_minute_all_is_spoken() -> None:
    w = world(Services("es"))
    _backlog(w, 19)  # the first 38 s ago
    w.run_for(5_000)
    assert [part.skipped_by for part in speech(w.emitted(), "es")] == [""] * 19


def test_how_late_is_too_late_is_a_setting() -> None:
    w = world(Services("es"), TranslateSettings(lag_speech_s=20, lag_resume_s=20))
    _backlog(w, 15)
    w.run_for(5_000)
    assert sum(bool(part.skipped_by) for part in speech(w.emitted(), "es")) == 6  # 20 s ago and earlier


def test_speech_that_the_voice_gave_too_late_is_not_spoken() -> None:
    services = Services("es")
    services.delay_ms = lambda call: 60_000 if isinstance(call.request, Synthesize) else 10
    w = world(services)
    w.publish(_late(transcript("clause", "one two", 0), w.now_ms))
    w.run_for(61_000)
    assert [part.skipped_by for part in speech(w.emitted(), "es")] == ["translate"]


def test_late_partials_are_dropped() -> None:
    services = Services("en")
    w = world(services)
    late = w.publish(_late(transcript("partial", "one", 0), w.now_ms - 5_001))
    w.publish(_late(transcript("partial", "one two", 0), w.now_ms - 4_000))
    w.run_for(100)
    assert [c.text for c in captions(w.emitted(), "en")] == ["one two"]
    assert services.count(FindLanguages) == 1
    assert w.is_done(late)


@given(kills=st.lists(st.integers(0, 4_000), max_size=4), delay_ms=st.integers(1, 400), put_ms=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_what_one_owner_left_out_the_next_does_not_speak(kills: list[int], delay_ms: int, put_ms: int) -> None:
    services = Services("es")
    services.delay_ms = lambda call: delay_ms
    w = World(builder(TranslateSettings()), SESSION, services, lambda: put_ms)
    started = w.now_ms
    _backlog(w, 30)
    for kill_ms in sorted(kills):
        w.run_until(max(w.now_ms, started + kill_ms))
        w.owner.kill()
        w.run_for(2 * put_ms)
        w.take_over()
    w.run_for(60_000)
    told = speech(w.emitted(), "es")
    assert [part.clause for part in told] == list(range(30))  # each once, spoken or not, in order
    assert [part.sequence for part in told if not part.skipped_by] == list(range(30 - _count_skipped(told)))
    assert _count_skipped(told) >= 26


def _count_skipped(told: list[SpeechPart]) -> int:
    return sum(bool(part.skipped_by) for part in told)

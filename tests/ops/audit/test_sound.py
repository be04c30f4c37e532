import msgspec

from ops.audit.evidence import Evidence, Letter
from ops.audit.result import Finding, SoundAccount
from ops.audit.sound import sound
from streams.errors import Failure
from streams.records import Record
from tests.ops.audit.talk import chunk, clause, event, evidence, place, records


def heard(rows: list[Record], *, over: bool = True, exact: bool = True) -> tuple[SoundAccount, list[Finding], Evidence]:
    found = evidence(records() | {"audio": rows})
    found.exact = exact
    result = sound(found, over=over)
    return result.account, result.findings, found


def chunks(*missing: int) -> list[Record]:
    return [chunk(number) for number in range(40) if number not in missing]


def test_chunks_that_never_came_are_named_with_the_place_of_the_next() -> None:
    account, (finding, *rest), found = heard(chunks(10, 19, 20))
    assert (account.gaps, account.missing, account.jumped_ms, account.duration_ms) == (2, 3, 300, 4000)
    assert (finding.code, finding.sentence) == ("audio_gap", "chunk 10 never came to the audio stream")
    assert finding.place is not None
    assert finding.place.sequence_number == place(found.audio, chunk(11))
    assert [each.sentence for each in rest] == ["chunks 19 to 20 never came to the audio stream"]


def test_what_the_door_refused_while_paused_is_no_gap() -> None:
    rows = chunks(10, 11, 12)
    rows[10:10] = [event("paused", 1000), event("resumed", 1300)]
    account, findings, _ = heard(rows)
    assert (account.gaps, account.refused, findings) == (0, 3, [])


def test_what_slips_in_while_muted_is_counted_and_need_not_be_heard() -> None:
    """Row A7: the door may be some ms late; readers drop what comes after the event that mutes. A change that is out of
    date opens nothing."""
    rows = chunks(12, 14)
    muted, unmuted = event("muted", 1000, 2), event("state", 1500, 3)
    rows[10:10] = [muted]
    rows[13:13] = [event("unmuted", 900, 1)]  # before chunk 13 and those up to 19, all muted
    rows[20:20] = [msgspec.structs.replace(unmuted, is_muted=False)]
    account, findings, _ = heard(rows, exact=False)
    assert (account.muted, account.refused, account.gaps, account.late, findings) == (8, 2, 0, 0, [])
    assert (account.chunks, account.jumped_ms, account.duration_ms) == (38, 1000, 4000)


def test_chunks_written_twice_or_in_another_order_are_counted() -> None:
    rows = chunks()
    rows[5], rows[6] = rows[6], rows[5]
    rows.insert(20, rows[19])
    account, findings, _ = heard(rows)
    assert (account.reordered, account.repeats, account.chunks, findings) == (1, 1, 41, [])


def test_a_chunk_that_came_too_late_must_be_in_the_dead_letters() -> None:
    rows = chunks(9)
    late = evidence({"audio": rows})
    for number in range(10):  # a second of silence, then the missing one
        rows.append(msgspec.structs.replace(chunk(40 + number), pcm=bytes(3200)))
    rows.append(chunk(9))
    late = evidence(records() | {"audio": rows})
    late.audio = [seen._replace(written_ms=seen.written_ms * 10 - late.audio[0].written_ms * 9) for seen in late.audio]
    found = sound(late, over=True)
    assert found.account.late == 1
    assert [finding.code for finding in found.findings] == ["chunk_late"]
    letter = Letter("id", "transcribe", "audio", late.audio[-1].position, Failure("LateChunk", "", False), 1, 0)
    late.letters = [letter]
    assert sound(late, over=True).findings == []


def test_sound_that_lies_in_no_utterance() -> None:
    streams = records()
    streams["transcripts"] = [clause(0), clause(1), clause(3)]
    found = evidence(streams)
    result = sound(found, over=True)
    assert result.account.unheard_ms == 800
    (finding,) = result.findings
    assert finding.sentence.startswith("sound at 2100 to 2900 ms of the media clock lies in no utterance")
    assert finding.place is not None
    assert finding.place.sequence_number == place(found.audio, chunk(21))
    found.exact = False
    assert sound(found, over=True).findings == []


def test_sound_that_a_dead_letter_names() -> None:
    streams = records()
    streams["transcripts"] = [clause(0), clause(1), clause(3)]
    found = evidence(streams)
    failure = Failure("StageError", "", False)
    found.letters = [
        Letter(str(seen.position), "transcribe", "audio", seen.position, failure, 1, 0)
        for seen in found.audio
        if seen.record in [msgspec.structs.replace(chunk(number), pcm=b"") for number in range(20, 30)]
    ]
    assert sound(found, over=True).account.unheard_ms == 0


def test_sound_that_has_just_come_is_under_way() -> None:
    streams = records()
    streams["transcripts"] = [clause(0), clause(1)]
    found = evidence(streams)
    assert sound(found, over=False).account.unheard_ms == 0
    assert sound(found, over=True).account.unheard_ms == 1600


def test_words_after_the_audio_s_end() -> None:
    found = evidence(records() | {"audio": chunks()[:30]})
    (finding,) = [one for one in sound(found, over=True).findings if one.code == "clause_without_sound"]
    assert finding.sentence.endswith("ends at 3900 ms of the media clock, and the audio at 3000 ms")
    assert "clause_without_sound" not in [one.code for one in sound(found, over=False).findings]
    found.trimmed = ["audio"]
    assert sound(found, over=True).findings == []


def test_nothing_was_recognised_though_something_can_be_heard() -> None:
    found = evidence(records() | {"transcripts": []})
    found.exact = False
    (finding,) = sound(found, over=True).findings
    assert finding.sentence == "nothing was recognised, though 3.2 s can be heard"


def test_a_first_chunk_that_never_came() -> None:
    account, findings, _ = heard(chunks(0, 1))
    assert (account.gaps, account.missing) == (1, 2)
    assert findings[0].sentence == "chunks 0 to 1 never came to the audio stream"


def test_a_speaker_who_came_back_may_count_on() -> None:
    rows: list[Record] = [chunk(number, connection="c" if number < 20 else "d") for number in range(40)]
    account, findings, _ = heard(rows)
    assert (account.connections, account.missing, findings) == (2, 0, [])


def test_no_audio_at_all() -> None:
    account, findings, _ = heard([])
    assert (account.chunks, account.audible_ms, findings) == (0, 0, [])

"""What was out before a restore."""

from stages.translate.emitted import ClauseId, Emitted
from streams.records import NEUTRAL, Caption, SpeechPart


def caption(end_ms: int, *, final: bool = False, language: str = "es") -> Caption:
    return Caption(
        session_id="s",
        utterance_id="u",
        language=language,
        revision=1,
        text="x",
        committed=1,
        final=final,
        start_ms=0,
        end_ms=end_ms,
    )


def part(clause: int, end_ms: int) -> SpeechPart:
    return SpeechPart(
        session_id="s",
        utterance_id="u",
        clause=clause,
        language="es",
        sequence=0,
        text="x",
        ssml="",
        voice="v",
        dynamics=NEUTRAL,
        sample_rate_hz=16_000,
        pcm=b"1234",
        start_ms=0,
        end_ms=end_ms,
    )


def test_clauses_are_found_by_their_captions() -> None:
    emitted = Emitted()
    emitted.note_caption(caption(900), "hola")
    emitted.note_caption(caption(1_200), "")
    assert emitted.text(ClauseId("u", 900), "es") == "hola"
    assert emitted.text(ClauseId("u", 1_200), "es") is None
    assert emitted.captioned_ms("es") == 900


def test_languages_are_those_that_have_it_or_are_not_past_it() -> None:
    emitted = Emitted()
    emitted.note_caption(caption(900), "hola")
    emitted.note_caption(caption(1_800, language="ca"), "adéu")
    assert emitted.languages(ClauseId("u", 900), ["ca", "fr"]) == ["es", "fr"]
    assert emitted.languages(ClauseId("u", 2_700), ["ca", "es"]) == ["ca", "es"]


def test_finals() -> None:
    emitted = Emitted()
    emitted.note_caption(caption(900, final=True), "")
    assert emitted.is_final("u", "es")
    assert not emitted.is_final("u", "ca")


def test_speech_is_remembered_without_its_sound() -> None:
    emitted = Emitted()
    emitted.note_speech(part(1, 900))
    last = emitted.last_part("u", 1, "es")
    assert last is not None
    assert last.pcm == b""
    assert emitted.last_part("u", 0, "es") is None
    assert emitted.is_passed_over(800, "es")
    assert not emitted.is_passed_over(900, "es")
    assert not emitted.is_passed_over(800, "ca")

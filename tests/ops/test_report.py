import json

import msgspec

from ops import report as reports
from ops.listener import Ear
from ops.observed import Observed
from ops.report import Audio, Chunks, Report
from streams.records import Dynamics, EmotionFrame, Receipt, SpeechPart, Transcript
from tests.ops.test_listener import audio, caption


def observed() -> Observed:
    final = Transcript(
        session_id="s",
        utterance_id="u",
        status="final",
        source_language="en-US",
        transcript_text="hello",
        words=[],
        start_ms=0,
        end_ms=1000,
        clause=1,
        revision=2,
        stability_score=1.0,
        timestamp=0,
    )
    clause = msgspec.structs.replace(final, status="clause", clause=0, revision=1)
    frames = [
        EmotionFrame(
            session_id="s",
            start_ms=start_ms,
            end_ms=start_ms + 500,
            volume=volume,
            rate=1.0,
            energy=0.5,
            level_db=-20,
            voiced_ms=voiced_ms,
            onsets_ms=[],
        )
        for start_ms, volume, voiced_ms in ((0, 0.2, 100), (500, 0.6, 300), (1000, 1.0, 500))
    ]
    speech = SpeechPart(
        session_id="s",
        utterance_id="u",
        clause=0,
        language="es",
        sequence=0,
        text="hola",
        ssml="<speak>hola</speak>",
        voice="Lucia",
        dynamics=Dynamics(),
        sample_rate_hz=16_000,
        pcm=b"",
        start_ms=0,
        end_ms=1000,
    )
    receipt = Receipt(
        session_id="s",
        of="speech",
        language="es",
        utterance_id="u",
        clause=0,
        reached=1,
        gone=0,
        failed=0,
        dropped=0,
        timestamp=0,
        times_ms={"captured": 0, "posted": 900},
    )
    return Observed([clause, final], frames, [], [speech], [receipt])


def ear() -> Ear:
    found = Ear()
    for message in (caption(1, "hola", final=True), audio(0), audio(1)):
        found.take(message, 2_500)
    return found


def a_report() -> Report:
    seen = observed()
    return Report(
        session_id="s",
        audio=[Audio("a.wav", 1000)],
        chunks=Chunks(10, 10, 0),
        said=reports.said(seen),
        languages={"es": reports.language("es", [ear()], seen, 1_000, "out/es.wav")},
        lost=0,
        duplicated=0,
        reordered=0,
        skipped=0,
        audible_ms=1000,
        unheard_ms=0,
        not_told=0,
        hops_ms=reports.hops(seen),
        wall_s=2.0,
        first_sound_s=1.0,
        page="out/index.html",
    )


def test_an_utterances_emotion_is_that_of_its_own_voiced_time() -> None:
    assert reports.said(observed())[0].emotion.volume == 0.5  # (0.2 * 100 + 0.6 * 300) / 400


def test_without_emotion_it_is_neutral() -> None:
    assert reports.said(observed()._replace(emotions=[]))[0].emotion.volume == 0.5


def test_times_are_on_the_media_clock() -> None:
    found = reports.language("es", [ear()], observed(), 1_000, "es.wav")
    assert found.captions[0].at_ms == 1_500
    assert found.heard[0].at_ms == 1_500
    assert found.heard[0].ssml == "<speak>hola</speak>"


def test_every_listener_is_accounted_for() -> None:
    assert reports.accounts(observed(), {"es": [ear(), Ear()]}).lost == 1


def test_json_has_the_keys_that_programs_read() -> None:
    found = json.loads(msgspec.json.encode(a_report()))
    assert {"session_id", "audio", "chunks", "said", "languages", "lost", "duplicated", "reordered", "skipped"} <= set(
        found
    )
    assert {"audible_ms", "unheard_ms", "not_told"} <= set(found)
    assert set(found["hops_ms"]["end_to_end"]) == {"p50", "p95", "max"}
    assert set(found["said"][0]) == {"utterance_id", "start_ms", "end_ms", "text", "emotion"}
    assert {"utterance_id", "revision", "text", "final", "at_ms"} <= set(found["languages"]["es"]["captions"][0])


def test_the_text_says_what_matters() -> None:
    text = reports.text(a_report())
    for part in ("hello", "hola", "0 lost, 0 twice, 0 out of order", "10 sent, 10 acknowledged", "end_to_end"):
        assert part in text

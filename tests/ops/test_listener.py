import base64
from typing import Any

from ops.listener import Ear


def caption(revision: int, text: str, committed: int = 0, final: bool = False) -> dict[str, Any]:
    return {
        "type": "caption",
        "utteranceId": "u",
        "revision": revision,
        "text": text,
        "committed": committed,
        "isFinal": final,
        "startMs": 0,
        "endMs": 10,
    }


def audio(part: int, parts: int = 2, clause: int = 0) -> dict[str, Any]:
    return {
        "type": "translatedAudio",
        "utteranceId": "u",
        "clause": clause,
        "sequence": clause,
        "part": part,
        "parts": parts,
        "text": "hola",
        "startMs": 0,
        "endMs": 10,
        "sampleRate": 16_000,
        "audioData": base64.b64encode(bytes([part]) * 3200).decode(),
    }


def test_repeats_are_dropped_and_counted() -> None:
    ear = Ear()
    for message in (audio(0), audio(0), audio(1), caption(1, "a"), caption(1, "a")):
        ear.take(message, 1000)
    assert ear.repeats == 2
    assert len(ear.captions) == 1
    assert ear.heard[0].audio_ms == 200


def test_parts_are_put_together_in_order_and_what_is_missing_is_known() -> None:
    ear = Ear()
    ear.take(audio(1, parts=3), 1000)
    ear.take(audio(0, parts=3), 1001)
    assert ear.heard[0].pcm == bytes(3200) + b"\x01" * 3200
    assert ear.heard[0].missing == 1
    assert ear.heard[0].at_unix_ms == 1000


def test_rewrites_of_the_tail_and_of_committed_text_are_told_apart() -> None:
    ear = Ear()
    ear.take(caption(1, "we are hear", committed=6), 1)
    ear.take(caption(2, "we are here", committed=6), 2)
    assert (ear.rewrites, ear.tail_rewrites) == (0, 1)
    ear.take(caption(3, "they are here", committed=6), 3)
    assert (ear.rewrites, ear.tail_rewrites) == (1, 2)


def test_an_overtaken_caption_is_not_shown() -> None:
    ear = Ear()
    ear.take(caption(2, "b", final=True), 1)
    ear.take(caption(1, "a"), 2)
    assert [shown.text for shown in ear.captions] == ["b"]


def test_what_was_said_before_it_joined_is_dropped_and_counted() -> None:
    ear = Ear()
    for clause in (3, 1, 2, 4, 3):
        ear.take(audio(0, clause=clause), 1000)
    assert [heard.clause for heard in ear.heard] == [3, 4]
    assert (ear.earlier, ear.repeats) == (2, 1)


def test_what_is_too_late_to_be_spoken_is_noted() -> None:
    ear = Ear()
    ear.take({"type": "speechSkipped", "utteranceId": "u", "clause": 3, "text": "hola"}, 1)
    assert ear.skipped == {("u", 3): "hola"}
    assert ear.heard == []

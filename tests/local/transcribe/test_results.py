from __future__ import annotations

import json
from typing import Any

from local.transcribe.eventstream import decode
from local.transcribe.results import Result, Word, exception_event, transcript_event

WORDS = (Word("go", 460, 640, 0.87654, stable=True), Word("forward", 640, 1170, 0.5))


def result_in(event: bytes) -> dict[str, Any]:
    message = decode(event)
    assert message.headers[":event-type"] == "TranscriptEvent"
    assert message.headers[":message-type"] == "event"
    results = json.loads(message.payload)["Transcript"]["Results"]
    assert len(results) == 1
    found: dict[str, Any] = results[0]
    return found


def test_a_final_in_the_service_s_shape() -> None:
    event = transcript_event([Result("an id", 460, 1170, is_partial=False, words=WORDS)], stabilised=True)
    assert result_in(event) == {
        "ResultId": "an id",
        "StartTime": 0.46,
        "EndTime": 1.17,
        "IsPartial": False,
        "Alternatives": [
            {
                "Transcript": "go forward",
                "Items": [
                    {
                        "Content": "go", "Type": "pronunciation", "StartTime": 0.46, "EndTime": 0.64,
                        "VocabularyFilterMatch": False, "Confidence": 0.8765, "Stable": True,
                    },
                    {
                        "Content": "forward", "Type": "pronunciation", "StartTime": 0.64, "EndTime": 1.17,
                        "VocabularyFilterMatch": False, "Confidence": 0.5, "Stable": True,
                    },
                ],
            }
        ],
    }  # fmt: skip


def test_a_partial_has_no_confidence_and_says_what_is_stable() -> None:
    partial = Result("an id", 460, 1170, is_partial=True, words=WORDS)
    items = result_in(transcript_event([partial], stabilised=True))["Alternatives"][0]["Items"]
    assert [item["Stable"] for item in items] == [True, False]
    assert not any("Confidence" in item for item in items)
    items = result_in(transcript_event([partial], stabilised=False))["Alternatives"][0]["Items"]
    assert not any("Stable" in item for item in items)


def test_an_exception() -> None:
    message = decode(exception_event("BadRequestException", "why"))
    assert message.headers[":message-type"] == "exception"
    assert message.headers[":exception-type"] == "BadRequestException"
    assert json.loads(message.payload) == {"Message": "why"}

"""The stage's settings."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.lag import PARTIALS_S, RESUME_S, SPEECH_S, PartialsS, ResumeS, SpeechS


class TranslateSettings(msgspec.Struct, frozen=True):
    """Read from the environment by `streams.settings.load`, each field under its name in capitals.

    enable_emotion_detection: "false" speaks neutrally and asks nobody (row E4). emotion_cache_ttl_seconds: older
    emotions are not used. emotion_wait_ms: how long speech waits for the emotion of its span. listeners_ttl_ms:
    how stale the languages with a listener may be (row W9 wants changes within 500). clauses_ahead: clauses of one
    language of one session under way at once. translate_terminology: the name of a custom terminology, or empty.
    lag_partials_s, lag_speech_s, lag_resume_s: how late partials and speech may be, and speech once some was left out
    (row S8).
    """

    enable_emotion_detection: Literal["true", "false"] = "true"
    emotion_cache_ttl_seconds: Annotated[int, Meta(ge=1, le=600)] = 60
    emotion_wait_ms: Annotated[int, Meta(ge=0, le=1_000)] = 250
    listeners_ttl_ms: Annotated[int, Meta(ge=0, le=500)] = 400
    clauses_ahead: Annotated[int, Meta(ge=1, le=10)] = 3
    translate_terminology: Annotated[str, Meta(pattern="^([A-Za-z0-9_-]{1,256})?$")] = ""
    lag_partials_s: PartialsS = PARTIALS_S
    lag_speech_s: SpeechS = SPEECH_S
    lag_resume_s: ResumeS = RESUME_S

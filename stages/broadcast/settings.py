"""The stage's settings."""

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.lag import PARTIALS_S, RESUME_S, SPEECH_S, PartialsS, ResumeS, SpeechS


class BroadcastSettings(msgspec.Struct, frozen=True):
    """Read from the environment by `streams.settings.load`, each field under its name in capitals.

    listeners_ttl_ms: how stale the list of a language's listeners may be (row W9 wants changes within 500).
    posts_in_flight: row B1. post_time_limit_ms: for one try of one post. backlog_ms: sound that may wait for one
    listener, and the time after which nothing waits any longer (row B2). lag_partials_s, lag_speech_s,
    lag_resume_s: how late partials and speech may be, and speech once some was left out (row S8).
    """

    listeners_ttl_ms: Annotated[int, Meta(ge=0, le=500)] = 400
    posts_in_flight: Annotated[int, Meta(ge=1, le=1_000)] = 100
    post_time_limit_ms: Annotated[int, Meta(ge=100, le=10_000)] = 2_000
    backlog_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 10_000
    lag_partials_s: PartialsS = PARTIALS_S
    lag_speech_s: SpeechS = SPEECH_S
    lag_resume_s: ResumeS = RESUME_S

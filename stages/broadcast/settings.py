"""The stage's settings."""

from typing import Annotated

import msgspec
from msgspec import Meta


class BroadcastSettings(msgspec.Struct, frozen=True):
    """Read from the environment by `streams.settings.load`, each field under its name in capitals.

    listeners_ttl_ms: how stale the list of a language's listeners may be (row W9 wants changes within 500).
    posts_in_flight: row B1. post_time_limit_ms: for one try of one post. backlog_ms: sound that may wait for one
    listener, and the time after which nothing waits any longer (row B2).
    """

    listeners_ttl_ms: Annotated[int, Meta(ge=0, le=500)] = 400
    posts_in_flight: Annotated[int, Meta(ge=1, le=1_000)] = 100
    post_time_limit_ms: Annotated[int, Meta(ge=100, le=10_000)] = 2_000
    backlog_ms: Annotated[int, Meta(ge=1_000, le=60_000)] = 10_000

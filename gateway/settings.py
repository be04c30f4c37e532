"""What the gateway's functions read from the environment (row X5)."""

from typing import Annotated, Final

import msgspec

from gateway.messages import Limits
from streams.languages import SOURCE_LANGUAGES
from streams.resources import DEFAULT_PREFIX, physical_name

MAX_LISTENERS: Final = 500
"""Row W22, for each session."""
_LANGUAGE = f"({'|'.join(SOURCE_LANGUAGES)})"
_LANGUAGES = f"^{_LANGUAGE}(,{_LANGUAGE})*$"


Prefix = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")]


class Place(msgspec.Struct, frozen=True):
    """The environment that a function works in: all that most of them read."""

    herald_prefix: Prefix = DEFAULT_PREFIX


class Settings(msgspec.Struct, frozen=True):
    """token_role_claim: the claim that must be, or hold, "speaker" ("cognito:groups" with Cognito).

    speaker_grace_s: how long a session waits for its speaker to come back (row W13); 0: not at all.
    connection_lifetime_s: after so long API Gateway ends a connection; its client is warned before (row W17).
    source_languages: those of row W23 that the recogniser in use hears, separated by commas.
    Rates are those of row W21: audio and control per connection, status per speaker, joins and connects per address,
    sessions per user.
    """

    token_issuer: Annotated[str, msgspec.Meta(min_length=1)]
    token_audience: Annotated[str, msgspec.Meta(min_length=1)]
    token_jwks_url: Annotated[str, msgspec.Meta(pattern="^https?://")]
    token_role_claim: Annotated[str, msgspec.Meta(min_length=1)] = "role"
    herald_prefix: Prefix = DEFAULT_PREFIX
    max_listeners_per_session: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = MAX_LISTENERS
    source_languages: Annotated[str, msgspec.Meta(pattern=_LANGUAGES)] = ",".join(SOURCE_LANGUAGES)
    speaker_grace_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 60
    connection_lifetime_s: Annotated[float, msgspec.Meta(gt=0)] = 7200.0
    max_audio_chunks_per_second: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    max_control_messages_per_second: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    max_status_queries_per_second: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    max_joins_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10
    max_connects_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20
    max_sessions_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 50

    def physical(self, name: str) -> str:
        """A stream's, table's or function's name in this environment."""
        return physical_name(self.herald_prefix, name)

    def sources(self) -> tuple[str, ...]:
        """What speakers may speak."""
        return tuple(self.source_languages.split(","))

    def limits(self) -> Limits:
        """What clients are told."""
        return Limits(
            max_audio_chunks_per_second=self.max_audio_chunks_per_second,
            max_control_messages_per_second=self.max_control_messages_per_second,
            max_status_queries_per_second=self.max_status_queries_per_second,
            max_listeners=self.max_listeners_per_session,
        )

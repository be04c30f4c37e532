"""The stage's settings."""

from typing import Annotated

import msgspec
from msgspec import Meta

from streams.lag import PARTIALS_S, PartialsS


class TranscribeSettings(msgspec.Struct, frozen=True):
    """Read from the environment by `streams.settings.load`, each field under its name in capitals.

    stability_threshold: row T2. clause_pause_ms: a pause this long ends a clause. clause_span_ms: stable words of this
    span are committed without waiting for a pause. clause_min_words: no clause shorter than this is cut out of
    running speech. recogniser_idle_s: a stream is closed when no audio came for so long, and opened again by the next.
    recogniser_rollover_s: age at which a stream is replaced; the service ends streams at 4 h. lag_partials_s: how late
    partials may be (row S8).
    """

    aws_region: str = "us-east-1"
    transcribe_endpoint_url: str = ""
    stability_threshold: Annotated[float, Meta(ge=0.70, le=0.95)] = 0.85
    clause_pause_ms: Annotated[int, Meta(ge=100, le=2_000)] = 300
    clause_span_ms: Annotated[int, Meta(ge=1_000, le=10_000)] = 3_000
    clause_min_words: Annotated[int, Meta(ge=1, le=20)] = 3
    recogniser_idle_s: Annotated[int, Meta(ge=5, le=3_600)] = 60
    recogniser_rollover_s: Annotated[int, Meta(ge=10, le=14_000)] = 12_600
    lag_partials_s: PartialsS = PARTIALS_S

"""Where the time went: each spoken clause's way from the microphone to its first listener, hop by hop.

A hop lies between two moments of `streams.times`. It is `own` (our code's doing), an `engine` (recogniser, translator,
voice), or `stream` (a record's way through Kinesis to the next stage). `pipeline_own` is the sum of a clause's own
hops; `end_to_end` is from the capture of its last sound to the listener.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from streams import times

Kind = Literal["own", "engine", "stream"]


class Hop(NamedTuple):
    """One hop. start, end: names of moments."""

    name: str
    kind: Kind
    start: str
    end: str
    what: str


HOPS: Final = (
    Hop("capture", "stream", times.CAPTURED, times.ADMITTED, "from the microphone to the gateway"),
    Hop("ingest", "own", times.ADMITTED, times.AUDIO_WRITTEN, "sendAudio: checked and stored"),
    Hop("audio_stream", "stream", times.AUDIO_WRITTEN, times.TRANSCRIBE_READ, "Kinesis to transcribe"),
    Hop("recognition", "engine", times.TRANSCRIBE_READ, times.RECOGNISED, "the recogniser, until words are stable"),
    Hop("transcribe", "own", times.RECOGNISED, times.TRANSCRIPTS_WRITTEN, "words to a clause, stored"),
    Hop("transcripts_stream", "stream", times.TRANSCRIPTS_WRITTEN, times.TRANSLATE_READ, "Kinesis to translate"),
    Hop("translate", "own", times.TRANSLATE_READ, times.TRANSLATION_CALLED, "listeners, emotion, waiting its turn"),
    Hop("translation", "engine", times.TRANSLATION_CALLED, times.TRANSLATION_ANSWERED, "the translator"),
    Hop("prosody", "own", times.TRANSLATION_ANSWERED, times.SYNTHESIS_CALLED, "emotion to SSML"),
    Hop("synthesis", "engine", times.SYNTHESIS_CALLED, times.SYNTHESIS_ANSWERED, "the voice"),
    Hop("speech", "own", times.SYNTHESIS_ANSWERED, times.SPEECH_WRITTEN, "cut into parts, stored"),
    Hop("speech_stream", "stream", times.SPEECH_WRITTEN, times.BROADCAST_READ, "Kinesis to broadcast"),
    Hop("broadcast", "own", times.BROADCAST_READ, times.POSTED, "posted to the first listener"),
)
PIPELINE_OWN: Final = "pipeline_own"
END_TO_END: Final = "end_to_end"


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p95: float
    max: float


def spent(moments: Mapping[str, int]) -> dict[str, int]:
    """How long each hop of one clause took; hops whose moments are not both known (no translation, say) are left out.

    A hop that some way does not have is closed over: without a translation, `translate` reaches to the synthesis.
    """
    found: dict[str, int] = {}
    known = dict(moments)
    if times.TRANSLATION_CALLED not in known and times.SYNTHESIS_CALLED in known:
        known[times.TRANSLATION_CALLED] = known[times.SYNTHESIS_CALLED]
    for hop in HOPS:
        if hop.start in known and hop.end in known:
            found[hop.name] = max(0, known[hop.end] - known[hop.start])  # two machines' clocks may differ by a little
    if times.POSTED in known:
        found[PIPELINE_OWN] = sum(found[hop.name] for hop in HOPS if hop.kind == "own" and hop.name in found)
        if times.CAPTURED in known:
            found[END_TO_END] = known[times.POSTED] - known[times.CAPTURED]
    return found


def spreads(clauses: Iterable[Mapping[str, int]]) -> dict[str, Spread]:
    """Each hop's spread over many clauses, in the order of the way."""
    rows = [spent(moments) for moments in clauses]
    result = {}
    for name in (*(hop.name for hop in HOPS), PIPELINE_OWN, END_TO_END):
        values = [row[name] for row in rows if name in row]
        if values:
            p50, p95 = np.percentile(values, [50, 95])
            result[name] = Spread(round(float(p50), 1), round(float(p95), 1), float(max(values)))
    return result

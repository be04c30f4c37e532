"""The names of the hops in a record's `times_ms`, in the order in which an utterance passes them.

Each is a moment in Unix milliseconds on the clock of the machine that saw it. `*_READ` is when a stage was given the
record, `*_WRITTEN` the arrival time that Kinesis notes, `*_CALLED` and `*_ANSWERED` enclose an engine.
"""

from typing import Final

CAPTURED: Final = "captured"
SPOKEN: Final = "spoken"
"""The same on the gateway's clock (`stages.transcribe.speaker_clock`): lateness is counted from here, no hop begins."""
ADMITTED: Final = "admitted"
AUDIO_WRITTEN: Final = "audioWritten"
TRANSCRIBE_READ: Final = "transcribeRead"
RECOGNISED: Final = "recognised"
TRANSCRIPTS_WRITTEN: Final = "transcriptsWritten"
TRANSLATE_READ: Final = "translateRead"
TRANSLATION_CALLED: Final = "translationCalled"
TRANSLATION_ANSWERED: Final = "translationAnswered"
SYNTHESIS_CALLED: Final = "synthesisCalled"
SYNTHESIS_ANSWERED: Final = "synthesisAnswered"
SPEECH_WRITTEN: Final = "speechWritten"
BROADCAST_READ: Final = "broadcastRead"
POSTED: Final = "posted"
"""The first listener had the whole of it."""

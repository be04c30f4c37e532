"""The adapter to Amazon Polly: PCM at 16 kHz, with the speaker's dynamics where the voice takes them (row L3)."""

from collections.abc import Mapping
from typing import Any, Final

from stages.translate.prosody import Prosody, ssml
from stages.translate.requests import POLLY, Synthesize, Synthesized
from stages.translate.sentences import split
from streams.aws import MAX_CONNECTIONS, as_error
from streams.errors import HeraldError, Refused
from streams.languages import Offer
from streams.records import SAMPLE_RATE_HZ
from streams.slots import Slots
from streams.stage import Replies, Request

MAX_CHARACTERS: Final = 2_500
MAX_BYTES: Final = 10_000
"""Polly takes 3,000 billed characters, and 6,000 with the markup: escaping may make six letters of one, seldom."""
SSML_REFUSED: Final = frozenset({"InvalidSsmlException", "SsmlMarksNotSupportedForTextTypeException"})


class Synthesizer:
    """A `Service`. offers: the voice of each language."""

    name = POLLY

    def __init__(self, client: Any, offers: Mapping[str, Offer]) -> None:
        self._client = client
        self._offers = offers
        self._slots = Slots(MAX_CONNECTIONS)

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Synthesized:
        """The speech. A text too long for the service is spoken sentence after sentence and joined."""
        assert isinstance(request, Synthesize)
        offer = self._offers.get(request.language)
        if offer is None:
            raise Refused(f"no voice speaks {request.language}", code="UNSUPPORTED_LANGUAGE")
        pcm, spoken = bytearray(), []
        for piece in split(request.text, MAX_CHARACTERS, MAX_BYTES):
            sound, markup = await self._speak(session_id, piece, offer, request.prosody)
            pcm += sound
            spoken.append(markup)
        return Synthesized(bytes(pcm), "".join(spoken), offer.voice_id, SAMPLE_RATE_HZ)

    async def close(self) -> None:
        """The client is the program's."""

    async def _speak(self, session_id: str, text: str, offer: Offer, prosody: Prosody) -> tuple[bytes, str]:
        markup = ssml(text, prosody)
        try:
            return await self._synthesize(session_id, markup, "ssml", offer), markup
        except HeraldError as error:
            if error.code not in SSML_REFUSED:
                raise
        return await self._synthesize(session_id, text, "text", offer), ""

    async def _synthesize(self, session_id: str, text: str, text_type: str, offer: Offer) -> bytes:
        try:
            async with self._slots.of(session_id):
                answer = await self._client.synthesize_speech(
                    Engine=offer.engine,
                    LanguageCode=offer.voice_language_code,
                    VoiceId=offer.voice_id,
                    OutputFormat="pcm",
                    SampleRate=str(SAMPLE_RATE_HZ),
                    TextType=text_type,
                    Text=text,
                )
                async with answer["AudioStream"] as stream:
                    pcm: bytes = await stream.read()
        except Exception as error:
            raise as_error(error, f"speaking {offer.language}") from error
        return pcm[: len(pcm) & ~1]

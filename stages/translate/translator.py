"""The adapter to Amazon Translate: pieces that the service takes, the cache, and an optional terminology."""

import time
from collections.abc import Mapping
from typing import Any, Final

from stages.translate.cache import TranslationCache, cache_key
from stages.translate.requests import TRANSLATE, Translate, Translated
from stages.translate.sentences import split
from streams.aws import MAX_CONNECTIONS, as_error
from streams.languages import Offer
from streams.slots import Slots
from streams.stage import Replies, Request

MAX_CHARACTERS: Final = 5_000
"""Row L2."""
MAX_BYTES: Final = 10_000
"""The service's own limit on a text, in UTF-8."""


class Translator:
    """A `Service`. offers: how the service calls the languages. terminology: a custom terminology's name, or empty."""

    name = TRANSLATE

    def __init__(self, client: Any, offers: Mapping[str, Offer], terminology: str = "") -> None:
        self._client = client
        self._offers = offers
        self._terminology = terminology
        self._cache = TranslationCache()
        self._slots = Slots(MAX_CONNECTIONS)

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Translated:
        """The translation, of the cache or of the service."""
        assert isinstance(request, Translate)
        key = cache_key(request.source, request.target, request.text)
        known = self._cache.get(key, _now_ms())
        if known is not None:
            return Translated(known, cached=True)
        pieces = split(request.text, MAX_CHARACTERS, MAX_BYTES)
        text = "".join([await self._translate(session_id, piece, request) for piece in pieces])
        self._cache.put(key, text, _now_ms())
        return Translated(text)

    async def close(self) -> None:
        """The client is the program's."""

    async def _translate(self, session_id: str, piece: str, request: Translate) -> str:
        """One piece; the white space around it, at which the text was cut, is kept."""
        core = piece.strip()
        if not core:
            return piece
        target = self._offers.get(request.target)
        terminology = {"TerminologyNames": [self._terminology]} if self._terminology else {}
        try:
            async with self._slots.of(session_id):
                answer = await self._client.translate_text(
                    Text=core,
                    SourceLanguageCode=request.source,
                    TargetLanguageCode=target.translate_code if target else request.target,
                    **terminology,
                )
        except Exception as error:
            raise as_error(error, "translating") from error
        before, _, after = piece.partition(core)
        return f"{before}{answer['TranslatedText']}{after}"


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000

"""The captions of the last half minute, for listeners who come back (their row says `returned`). Pure.

It is this process's memory: after a crash there is nothing to catch up with but what has come since. The log has all of
it; but read from there for each of five hundred who come back at once, it would be the stage's own reading that waits.
"""

from collections import OrderedDict
from typing import Final

from streams.records import Caption

KEPT_MS: Final = 30_000
MAX_UTTERANCES: Final = 32
"""Of one session and language; somebody who speaks makes some ten in the time."""
MAX_CAUGHT_UP: Final = 20_000
"""Connections that are remembered as served: four times as many as may listen (row N9 times row N10). One that is
forgotten is shown again what it knows, and drops it."""


class Recent:
    """Of all sessions that this process broadcasts."""

    def __init__(self) -> None:
        self._captions: OrderedDict[tuple[str, str], OrderedDict[str, tuple[int, bytes]]] = OrderedDict()
        self._caught_up: OrderedDict[str, None] = OrderedDict()

    def note(self, caption: Caption, message: bytes, now_ms: int) -> None:
        """A caption goes out, as this message: it takes the place of the one before it of its utterance."""
        key = caption.session_id, caption.language
        found = self._captions.setdefault(key, OrderedDict())
        self._captions.move_to_end(key)
        found[caption.utterance_id] = now_ms, message
        found.move_to_end(caption.utterance_id)
        if len(found) > MAX_UTTERANCES:
            found.popitem(last=False)
        self._forget(now_ms)

    def missed(self, connection_id: str, session_id: str, language: str, now_ms: int) -> list[bytes]:
        """What a listener who has come back is to be shown, in the order of speech; nothing the second time."""
        if connection_id in self._caught_up:
            return []
        self._caught_up[connection_id] = None
        if len(self._caught_up) > MAX_CAUGHT_UP:
            self._caught_up.popitem(last=False)
        found = self._captions.get((session_id, language))
        return [message for noted_ms, message in found.values() if now_ms - noted_ms <= KEPT_MS] if found else []

    def __len__(self) -> int:
        """How many sessions and languages something is kept of."""
        return len(self._captions)

    def _forget(self, now_ms: int) -> None:
        """Those come first that have had no caption for longest; the one that has just come stays."""
        while True:
            key, captions = next(iter(self._captions.items()))
            last_ms, _ = next(reversed(captions.values()))
            if now_ms - last_ms <= KEPT_MS:
                return
            del self._captions[key]

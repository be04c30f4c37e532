"""The translation cache (row L4): least recently used, with a time to live. Pure; the time comes in."""

import hashlib
from collections import OrderedDict
from typing import Final

MAX_ENTRIES: Final = 10_000
TTL_MS: Final = 3_600_000


def cache_key(source: str, target: str, text: str) -> str:
    """`source:target:` and the first 16 hex digits of the SHA-256 of the text, trimmed and in lower case."""
    digest = hashlib.sha256(text.strip().lower().encode("utf-8", errors="surrogatepass")).hexdigest()
    return f"{source}:{target}:{digest[:16]}"


class TranslationCache:
    """Translations by key."""

    def __init__(self, max_entries: int = MAX_ENTRIES, ttl_ms: int = TTL_MS) -> None:
        self._max_entries = max_entries
        self._ttl_ms = ttl_ms
        self._entries: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now_ms: int) -> str | None:
        """What was put there less than the time to live ago; it becomes the most recently used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        put_ms, text = entry
        if now_ms - put_ms >= self._ttl_ms:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return text

    def put(self, key: str, text: str, now_ms: int) -> None:
        """Remember it; beyond the bound the least recently used goes."""
        self._entries[key] = (now_ms, text)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

"""The translation cache, row L4."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from stages.translate.cache import MAX_ENTRIES, TTL_MS, TranslationCache, cache_key


def test_the_key_is_that_of_row_l4() -> None:
    digest = hashlib.sha256(b"good morning").hexdigest()[:16]
    assert cache_key("en", "es", "  Good Morning \n") == f"en:es:{digest}"
    assert cache_key("en", "ca", "good morning") != cache_key("en", "es", "good morning")
    assert (MAX_ENTRIES, TTL_MS) == (10_000, 3_600_000)


def test_an_entry_lives_for_an_hour() -> None:
    cache = TranslationCache()
    cache.put("k", "v", 1_000)
    assert cache.get("k", 1_000 + TTL_MS - 1) == "v"
    assert cache.get("k", 1_000 + TTL_MS) is None
    assert len(cache) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_the_least_recently_used_goes_first(steps: list[tuple[bool, int]]) -> None:
    cache = TranslationCache(max_entries=3)
    used: list[int] = []
    for is_put, key in steps:
        if is_put:
            cache.put(str(key), f"v{key}", 0)
        assert cache.get(str(key), 0) == (f"v{key}" if is_put or key in used else None)
        if is_put or key in used:
            used = [*(k for k in used if k != key), key][-3:]
        assert len(cache) == len(used)

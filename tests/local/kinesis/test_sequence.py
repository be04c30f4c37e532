from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.kinesis import sequence

_STAMPS = st.integers(0, (1 << 44) - 1)
_COUNTERS = st.integers(0, (1 << 48) - 1)
_SHARDS = st.integers(0, (1 << 32) - 1)


@given(_STAMPS, _COUNTERS, _SHARDS)
def test_a_number_gives_back_what_it_was_made_of(stamp_ms: int, counter: int, index: int) -> None:
    text = sequence.number(sequence.shard_base(stamp_ms, index), counter)
    assert sequence.parse(text) == (stamp_ms, counter, index)
    assert len(text) == 56


@given(_STAMPS, _SHARDS, _COUNTERS, _COUNTERS)
def test_numbers_of_a_shard_sort_as_text(stamp_ms: int, index: int, one: int, other: int) -> None:
    base = sequence.shard_base(stamp_ms, index)
    texts = [sequence.number(base, counter) for counter in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)


@given(st.integers(1, (1 << 44) - 1), _COUNTERS, _SHARDS, _SHARDS)
def test_a_child_is_above_all_of_its_parent(stamp_ms: int, counter: int, parent: int, child: int) -> None:
    of_parent = sequence.number(sequence.shard_base(stamp_ms - 1, parent), counter)
    assert of_parent < sequence.number(sequence.shard_base(stamp_ms, child), 0)


@pytest.mark.parametrize("text", ["", "0", "12", "-1", "x", "٣", "9" * 129, "48" + "9" * 54, str(50 * 10**54)])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="sequence number"):
        sequence.parse(text)

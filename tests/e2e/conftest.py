"""A stack per recogniser, for all tests that leave it as it was.

Recogniser streams are replaced every ROLLOVER_S instead of every 3.5 h, so that every test has some that are. Every
word is spoken, however late (LAG_S): what is too late to be spoken is `test_lag`'s.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.whole_stack import LEASE_S, WholeStack

ROLLOVER_S = 15
LAG_S = 600


@pytest.fixture(scope="package")  # a stack costs a third of a core while it waits: not one test longer than it is used
def tone_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    yield from _stack(tmp_path_factory.mktemp("tones"), "tones", 2, {"LEASE_FAILOVER_S": str(LEASE_S)})


@pytest.fixture(scope="module")
def speech_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    yield from _stack(tmp_path_factory.mktemp("speech"), "pocketsphinx", 1)


def _stack(folder: Path, engine: str, shards: int, settings: dict[str, str] | None = None) -> Iterator[WholeStack]:
    chosen = {"RECOGNISER_ROLLOVER_S": str(ROLLOVER_S), "LAG_SPEECH_S": str(LAG_S)} | (settings or {})
    stack = WholeStack(folder, engine, shards=shards, settings=chosen)
    try:
        yield stack
    finally:
        stack.stop()

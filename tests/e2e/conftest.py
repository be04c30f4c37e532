"""One stack per recogniser, for all tests that leave it as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.whole_stack import LEASE_S, WholeStack


@pytest.fixture(scope="session")
def tone_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    yield from _stack(tmp_path_factory.mktemp("tones"), "tones", {"LEASE_FAILOVER_S": str(LEASE_S)})


@pytest.fixture(scope="session")
def speech_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    yield from _stack(tmp_path_factory.mktemp("speech"), "pocketsphinx")


def _stack(folder: Path, engine: str, settings: dict[str, str] | None = None) -> Iterator[WholeStack]:
    stack = WholeStack(folder, engine, shards=2, settings=settings)
    try:
        yield stack
    finally:
        stack.stop()

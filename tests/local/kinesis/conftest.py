"""One twin for the tests of this folder that need no twin of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.kinesis.support import Bench, Process, running


@pytest.fixture(scope="session")
def shared_twin() -> Iterator[Process]:
    """In memory, with the service's limits and quick transitions."""
    with running("--transition-ms", "30", "--subscription-s", "2") as process:
        yield process


@pytest.fixture
def bench() -> Bench:
    return Bench()

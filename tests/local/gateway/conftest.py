"""The whole front, as its own processes, for all tests of the twin that speak to real functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, front


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with front(tmp_path_factory.mktemp("front")) as started:
        yield started

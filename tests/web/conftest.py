"""One stack for all tests of the pages. Its recogniser hears numbered tones: a page is measured by the word."""

from collections.abc import Iterator

import pytest

from tests.e2e.whole_stack import WholeStack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    started = WholeStack(tmp_path_factory.mktemp("pages"), "tones")
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def http(stack: WholeStack) -> str:
    """Where the pages are."""
    return str(stack.described()["http"])

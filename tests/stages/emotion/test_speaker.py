"""Row W15: the warning's way to the speaker."""

from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest

from stages.emotion.quality import Code
from stages.emotion.requests import Warn, Warned
from stages.emotion.speaker import ADVICE, OVER, Speaker
from streams import breakers
from streams.aws import Clients
from streams.breakers import Guard
from streams.errors import HeraldError, Unavailable
from streams.policy import FAILURES_TO_OPEN, OPEN_MS, Breaker
from streams.telemetry import Log, Metrics
from tests.support.management_api import ManagementApi, management_api
from tests.support.services import CREDENTIALS

SESSION = "golden-eagle-427"
WARN = Warn("AUDIO_ECHO", active=True, at_ms=1_700_000_000_900)


class Table:
    """Answers GetItem, as DynamoDB would of a row of Sessions."""

    def __init__(self) -> None:
        self.rows = {SESSION: "c1"}
        self.asked = 0
        self.is_away = False

    async def get_item(self, TableName: str, Key: Any, ProjectionExpression: str) -> Any:  # noqa: N803 - boto's names
        self.asked += 1
        if self.is_away:
            raise ConnectionRefusedError
        assert (TableName, ProjectionExpression) == ("herald-Sessions", "speakerConnectionId")
        found = self.rows.get(Key["sessionId"]["S"])
        return {"Item": {"speakerConnectionId": {"S": found}}} if found else {}


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagementApi]:
    async with management_api() as api:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": api.url}).items():
            monkeypatch.setenv(name, value)
        yield api


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def speaker(api: ManagementApi, table: Table) -> AsyncIterator[Speaker]:
    async with Clients() as clients:

        async def get(service: str) -> Any:
            return table if service == "dynamodb" else await clients.get(service)

        yield Speaker(get, "herald-Sessions", Guard("speaker", Breaker(), Log("emotion"), Metrics("emotion")))


async def _warn(speaker: Speaker, request: Warn = WARN, session_id: str = SESSION) -> Warned:
    return await speaker.perform(session_id, request, lambda _: None)


async def test_it_reaches_the_connection_that_the_session_has_now(
    speaker: Speaker, api: ManagementApi, table: Table
) -> None:
    assert await _warn(speaker) == Warned(reached=True)
    table.rows[SESSION] = "c2"
    assert await _warn(speaker, Warn("AUDIO_ECHO", active=False, at_ms=1_700_000_005_000)) == Warned(reached=True)
    assert api.received == {
        "c1": [
            {
                "type": "audioQualityWarning",
                "code": "AUDIO_ECHO",
                "message": ADVICE["AUDIO_ECHO"],
                "active": True,
                "timestamp": 1_700_000_000,
            }
        ],
        "c2": [
            {
                "type": "audioQualityWarning",
                "code": "AUDIO_ECHO",
                "message": OVER["AUDIO_ECHO"],
                "active": False,
                "timestamp": 1_700_000_005,
            }
        ],
    }


async def test_nobody_there_is_no_failure(speaker: Speaker, api: ManagementApi, table: Table) -> None:
    api.gone.add("c1")
    for _ in range(2 * FAILURES_TO_OPEN):
        assert await _warn(speaker) == Warned(reached=False)
    assert await _warn(speaker, session_id="nobody-here-100") == Warned(reached=False)
    assert table.asked == 2 * FAILURES_TO_OPEN + 1


async def test_a_service_that_is_away_is_left_alone_for_a_while(
    speaker: Speaker, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its breaker is its own: nothing but the warning is held back."""
    now_ms = 1_700_000_000_000
    monkeypatch.setattr(breakers, "_now_ms", lambda: now_ms)
    table.is_away = True
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(Unavailable):
            await _warn(speaker)
        now_ms += 1_000
    assert await _warn(speaker) == Warned(reached=False)
    assert table.asked == FAILURES_TO_OPEN
    table.is_away = False
    now_ms += OPEN_MS
    assert await _warn(speaker) == Warned(reached=True)
    assert await _warn(speaker) == Warned(reached=True)


async def test_a_post_that_fails_is_a_failure(speaker: Speaker, api: ManagementApi) -> None:
    api.broken["c1"] = 1
    with pytest.raises(HeraldError):
        await _warn(speaker)
    await speaker.close()


def test_every_code_has_its_sentences() -> None:
    assert set(ADVICE) == set(OVER) == set(get_args(Code))

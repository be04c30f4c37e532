from __future__ import annotations

import pytest

from gateway.admission import Connection, check
from gateway.errors import WireError
from gateway.routes import Who

SPEAKER = Connection("c", "golden-eagle-427", "speaker")
LISTENER = Connection("d", "golden-eagle-427", "listener", "es")


@pytest.mark.parametrize(
    ("connection", "who", "session_id"),
    [
        (SPEAKER, "speaker", None),
        (SPEAKER, "speaker", "golden-eagle-427"),
        (SPEAKER, "both", None),
        (LISTENER, "both", None),
        (LISTENER, "listener", "golden-eagle-427"),
    ],
)
def test_may_act(connection: Connection, who: Who, session_id: str | None) -> None:
    assert check(connection, who, session_id) is connection


@pytest.mark.parametrize(
    ("connection", "who", "session_id", "code"),
    [
        (None, "both", None, "CONNECTION_NOT_FOUND"),
        (LISTENER, "speaker", None, "UNAUTHORIZED"),
        (SPEAKER, "listener", None, "UNAUTHORIZED"),
        (SPEAKER, "speaker", "another-eagle-100", "UNAUTHORIZED"),
    ],
)
def test_may_not(connection: Connection | None, who: Who, session_id: str | None, code: str) -> None:
    with pytest.raises(WireError) as refused:
        check(connection, who, session_id)
    assert refused.value.code == code

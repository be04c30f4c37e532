from __future__ import annotations

import json

import pytest

from gateway.control import CONTROLS
from gateway.errors import WireError
from gateway.messages import (
    NOTICES,
    QUERIES,
    REQUESTS,
    BroadcastState,
    CreateSession,
    EndSession,
    Heartbeat,
    HeartbeatAck,
    JoinSession,
    encode,
    parse,
    parse_query,
)


def test_a_request() -> None:
    assert parse('{"action":"endSession","sessionId":"a-b-100"}', EndSession).session_id == "a-b-100"


def test_fields_of_later_clients_are_ignored() -> None:
    assert parse('{"action":"heartbeat","mood":"good"}', Heartbeat).action == "heartbeat"


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", "{}", '{"action":1}', '{"action":"heartbeat","sessionId":4}', None]
)
def test_what_is_no_request_is_refused_without_repeating_it(body: str | None) -> None:
    with pytest.raises(WireError) as refused:
        parse(body, Heartbeat)
    assert refused.value.code == "INVALID_MESSAGE"
    assert not body or body not in refused.value.message


def test_a_control_message_over_4_kib_is_too_large() -> None:
    filler = "x" * (4096 - len('{"action":"heartbeat","x":""}'))
    assert parse('{"action":"heartbeat","x":"%s"}' % filler, Heartbeat).action == "heartbeat"  # noqa: UP031 - braces
    with pytest.raises(WireError) as refused:
        parse('{"action":"heartbeat","x":"%sx"}' % filler, Heartbeat)  # noqa: UP031 - braces
    assert refused.value.status == 413


def test_queries() -> None:
    create = parse_query({"token": "t", "sourceLanguage": "en", "qualityTier": "premium"}, CreateSession)
    assert (create.source_language, create.quality_tier, create.acknowledge_audio) == ("en", "premium", "true")
    assert parse_query({"sessionId": "a-b-100", "targetLanguage": "es"}, JoinSession).target_language == "es"


@pytest.mark.parametrize(
    "query", [None, {}, {"token": "t"}, {"token": "t", "sourceLanguage": "en", "qualityTier": "best"}]
)
def test_wrong_queries_are_refused(query: dict[str, str] | None) -> None:
    with pytest.raises(WireError, match="INVALID_MESSAGE"):
        parse_query(query, CreateSession)


def test_names_on_the_wire() -> None:
    assert json.loads(encode(HeartbeatAck(timestamp=5))) == {"type": "heartbeatAck", "timestamp": 5}
    assert json.loads(encode(BroadcastState(last_state_change=9))) == {
        "isActive": True,
        "isPaused": False,
        "isMuted": False,
        "volume": 1.0,
        "lastStateChange": 9,
    }


def test_every_control_route_and_its_answer_are_listed() -> None:
    assert {action: control.request for action, control in CONTROLS.items()} == {
        action: request for action, (request, _) in REQUESTS.items()
    }
    answers = [answer for _, answer in [*REQUESTS.values(), *QUERIES.values()]]
    names = [kind.__struct_config__.tag for kind in {*answers, *NOTICES}]
    assert len(set(names)) == len(names)

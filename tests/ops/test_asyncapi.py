"""The protocol's description is what the code does, and is valid by AsyncAPI's own schema.

`asyncapi-3.0.0.json` is that schema as the AsyncAPI initiative publishes it (specs 6.11.1, Apache-2.0, without `$id`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft7Validator

from gateway.errors import ErrorCode, ErrorMessage
from gateway.messages import QUERIES, REQUESTS, BroadcastState, HeartbeatAck, SessionStatus, SetVolume
from gateway.routes import ROUTES
from ops.asyncapi import ACTIONS, ERRORS, HANDSHAKE_ERRORS, document
from tests.support.protocol import Protocol
from tests.support.services import ROOT

SCHEMA = Path(__file__).with_name("asyncapi-3.0.0.json")
KEPT = ROOT / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = json.loads(SCHEMA.read_text())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_what_is_kept_is_what_the_code_says() -> None:
    """If not: python -m ops.asyncapi > docs/asyncapi.json"""
    made = subprocess.run([sys.executable, "-m", "ops.asyncapi"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert made.stdout == KEPT.read_text(encoding="utf-8")


def test_it_is_valid(described: dict[str, Any], validator: Draft7Validator) -> None:
    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(described)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.0.0"),
        (("info", "title"), 7),
        (("channels", "speaker", "bindings", "ws", "method"), "PUT"),
        (("operations", "speaker.heartbeat", "action"), "listen"),
        (("components", "messages", "heartbeat", "payload"), 7),
    ],
)
def test_the_schema_would_find_what_is_wrong(
    described: dict[str, Any], validator: Draft7Validator, path: tuple[str, ...], value: Any
) -> None:
    broken: Any = json.loads(json.dumps(described))
    node = broken
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    assert list(validator.iter_errors(broken))


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from _refs(each)
    elif isinstance(node, list):
        for each in node:
            yield from _refs(each)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for ref in _refs(described):
        node: Any = described
        for key in ref.removeprefix("#/").split("/"):
            node = node[key]


def test_every_route_action_and_error_is_in_it(described: dict[str, Any]) -> None:
    """Row W: whoever adds a route without saying who may use it and how it fails is told here."""
    own = [route for route in ROUTES if not route.key.startswith("$")]
    expected = {f"{route.who}.{route.key}" for route in own if route.who != "both"}
    expected |= {f"{role}.{route.key}" for route in own if route.who == "both" for role in ("speaker", "listener")}
    assert set(described["operations"]) == expected | {"speaker.told", "listener.told"}
    assert set(ERRORS) == {route.key for route in own} == set(REQUESTS) | {"sendAudio"}
    assert {action for actions in ACTIONS.values() for action in actions} == set(QUERIES)
    assert {code for codes in (*ERRORS.values(), *HANDSHAKE_ERRORS.values()) for code in codes} == set(ErrorCode)


def test_an_operation_s_messages_are_its_channel_s(described: dict[str, Any]) -> None:
    for operation in described["operations"].values():
        channel = operation["channel"]["$ref"]
        reply = operation.get("reply", {}).get("messages", [])
        assert all(each["$ref"].startswith(f"{channel}/messages/") for each in [*operation["messages"], *reply])


def test_rates_are_those_of_row_w21(described: dict[str, Any]) -> None:
    def rates(node: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
        return {rate["name"]: (rate["most"], rate["windowMs"], rate["per"]) for rate in node["x-rates"]}

    operations, channels = described["operations"], described["channels"]
    assert rates(operations["speaker.sendAudio"]) == {"audio": (50, 1000, "connection")}
    assert rates(operations["listener.heartbeat"]) == {"control": (10, 1000, "connection")}
    assert rates(operations["speaker.getSessionStatus"])["status"] == (2, 1000, "connection")
    assert rates(channels["speaker"]) == {"connect": (20, 60_000, "address"), "session": (50, 3_600_000, "user")}
    assert rates(channels["listener"]) == {"connect": (20, 60_000, "address"), "join": (10, 60_000, "address")}


def test_messages_of_ours_fit_their_descriptions(described: dict[str, Any]) -> None:
    protocol = Protocol(described)
    status = SessionStatus("s", 1, {"es": 1}, 3, BroadcastState(), 1, "requested")
    for message in (HeartbeatAck(1), status, ErrorMessage(ErrorCode.TIMEOUT, "x")):
        protocol.check("speaker", msgspec.to_builtins(message))
    protocol.check("speaker", msgspec.to_builtins(SetVolume(action="setVolume", volume_level=0.5)))
    for wrong in ({"type": "heartbeatAck"}, {"type": "error", "code": "NO_SUCH", "message": ""}):
        with pytest.raises(AssertionError):
            protocol.check("speaker", wrong)
    with pytest.raises(AssertionError):
        protocol.check("listener", msgspec.to_builtins(status))


def test_descriptions_name_fields_as_they_are_on_the_wire(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert "lastStateChange" in schemas["BroadcastState"]["description"]
    assert "last_state_change" not in json.dumps(described)

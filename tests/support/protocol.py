"""Messages held against the protocol's description, `ops.asyncapi`."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator


class Protocol:
    """What clients and the server may say, by the description."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._described = described
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, role: str, message: dict[str, Any]) -> None:
        """A message to or from a client of this role is described. Raises AssertionError, without its content."""
        name = message.get("type") or message.get("action")
        known = self._described["channels"][role]["messages"]
        assert name in known, f"{name} is not described for a {role}"
        component = known[name]["$ref"].rpartition("/")[2]
        if component not in self._validators:
            payload = self._described["components"]["messages"][component]["payload"]
            self._validators[component] = Draft202012Validator({**self._described, **payload})
        wrong = [(list(error.path), error.validator) for error in self._validators[component].iter_errors(message)]
        assert wrong == [], f"{name} is not as described: {wrong}"

"""The listeners' end: the gateway's management API, and telephones that drop repeats as the real ones do."""

import json
from typing import Any

from ops.listener import Ear
from tests.simulation.engines import words_of
from tests.simulation.ground import Ground
from tests.simulation.network import Network, service_error


class Phone:
    """One listener. joined_s: 0.0 for who was there from the beginning; left: its connection is gone."""

    def __init__(self, connection_id: str, session_id: str, language: str, joined_s: float) -> None:
        self.connection_id = connection_id
        self.session_id = session_id
        self.language = language
        self.joined_s = joined_s
        self.left = False
        self.ear = Ear()
        self.told: set[tuple[str, int]] = set()
        """Clauses of which it was told that they are left out (row S8)."""
        self.clauses_at_end: int | None = None
        """How many clauses had been heard when it was said that the session is over."""

    def take(self, message: dict[str, Any], at_unix_ms: int) -> None:
        """A message that came."""
        if message["type"] == "sessionEnded" and self.clauses_at_end is None:
            self.clauses_at_end = len(self.ear.clauses)
        if message["type"] == "speechSkipped":
            self.told.add((message["utteranceId"], message["clause"]))
        self.ear.take(message, at_unix_ms)

    def heard(self) -> dict[tuple[str, int], list[str]]:
        """The words of each clause that is whole, in the order in which clauses came."""
        return {
            key: words_of(b"".join(clause.parts[part] for part in range(clause.of_parts)))
            for key, clause in self.ear.clauses.items()
            if len(clause.parts) == clause.of_parts
        }


class Phones:
    """The client of the management API, and who listens, in the Connections table."""

    def __init__(self, ground: Ground, network: Network) -> None:
        self._ground = ground
        self._network = network
        self.phones: dict[str, Phone] = {}

    def join(self, session_id: str, language: str) -> Phone:
        """Somebody begins to listen."""
        connection_id = f"phone-{len(self.phones)}"
        phone = self.phones[connection_id] = Phone(connection_id, session_id, language, self._ground.loop.time())
        row = {"connectionId": connection_id, "sessionId": session_id, "targetLanguage": language}
        self._ground.tables.rows.setdefault("Connections", {})[connection_id, ""] = {
            name: {"S": value} for name, value in row.items()
        }
        return phone

    async def post_to_connection(self, **arguments: Any) -> Any:
        def effect() -> Any:
            phone = self.phones[arguments["ConnectionId"]]
            if phone.left:
                raise service_error("PostToConnection", "GoneException", 410)
            message = json.loads(arguments["Data"])
            if self._ground.is_watched:
                facts = {name: message[name] for name in ("utteranceId", "clause", "part", "parts") if name in message}
                self._ground.note(f"{phone.connection_id} ({phone.language}) gets {message['type']} {facts}")
            phone.take(message, self._ground.kinesis.now_ms())
            return {}

        return await self._network.call("PostToConnection", effect, "LimitExceededException")

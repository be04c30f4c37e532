"""How often clients may do what (row W21), true across all instances of the functions. Audio has its own `ingest.rate`.

    control   10/s per connection, heartbeats too         in the connection's row, with which it is read and seen
    status    2/s per speaker                             in the same row, by the same write
    connect   20/min per address                          in the table Limits
    join      10/min per address                          in the same row, by the same write
    session   50/h per user                               in the table Limits

Each costs one round trip, whether it passes or not. But an address or user that was refused is refused without asking
until the time at which it may pass: nobody passes before that, and a flood is not to keep the table busy. Rows of
Limits are keyed by a hash: no address and no user is stored (row X2), and they expire when their window is over.
"""

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway import windows
from gateway.admission import Connection
from gateway.errors import ErrorCode, WireError
from gateway.rows import is_condition
from gateway.settings import Settings
from gateway.tables import connection_of
from gateway.windows import Rate
from streams.aws import as_error
from streams.resources import CONNECTIONS, LIMITS, physical_name

STATUS_ROUTE: Final = "getSessionStatus"
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
IPV6_NETWORK_BITS: Final = 64
"""What one subscriber has at the least; whoever has it can take any address in it."""
MAX_SHUT: Final = 4096
"""Refusals that an instance remembers; each is some 300 bytes."""
ATTEMPTS: Final = 16
"""Where several share a place, another may take the last of it first, and the next write is for a new one. That takes
more than a write or two only where places are few and clients come all at once."""


class Limiter:
    """The rates of one environment. Every method raises HeraldError too."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._client = client
        self._connections = physical_name(settings.herald_prefix, CONNECTIONS.name)
        self._limits = physical_name(settings.herald_prefix, LIMITS.name)
        self._control = Rate("control", settings.max_control_messages_per_second, SECOND_MS)
        self._status = Rate("status", settings.max_status_queries_per_second, SECOND_MS)
        self._connect = Rate("connect", settings.max_connects_per_minute, MINUTE_MS)
        self._join = Rate("join", settings.max_joins_per_minute, MINUTE_MS)
        self._session = Rate("session", settings.max_sessions_per_hour, HOUR_MS)
        self._shut: OrderedDict[tuple[str, str], int] = OrderedDict()

    def rates(self) -> dict[Rate, str]:
        """Every rate, and for what each is counted."""
        return {
            self._control: "connection",
            self._status: "connection",
            self._connect: "address",
            self._join: "address",
            self._session: "user",
        }

    async def control(self, connection_id: str, route: str, arrived_ms: int, now_ms: int) -> Connection | None:
        """A control message of a connection: the connection, seen at now_ms; None if there is none.

        arrived_ms: when the gateway had it, which counts. Raises WireError(RATE_LIMIT_EXCEEDED).
        """
        rates = (self._control, self._status) if route == STATUS_ROUTE else (self._control,)
        row = await self._pass(
            rates,
            arrived_ms,
            TableName=self._connections,
            Key={"connectionId": {"S": connection_id}},
            more={"lastSeenAt": {"N": str(now_ms)}},
            term="attribute_exists(connectionId)",
        )
        return None if row is None else connection_of(row)

    async def connect(self, address: str, arrived_ms: int, *, joins: bool) -> None:
        """A client at the door. joins: whether it wants to listen. Raises WireError(RATE_LIMIT_EXCEEDED)."""
        rates = (self._connect, self._join) if joins else (self._connect,)
        await self._count(rates, _key("address", network_of(address)), arrived_ms)

    async def session(self, owner_hash: str, arrived_ms: int) -> None:
        """A speaker wants a session. Raises WireError(RATE_LIMIT_EXCEEDED)."""
        await self._count((self._session,), _key("user", owner_hash), arrived_ms)

    async def _count(self, rates: Sequence[Rate], key: str, arrived_ms: int) -> None:
        """An item that expires early only lets more pass; so it lives twice as long as its longest window."""
        for rate in rates:
            wait_ms = self._shut.get((key, rate.name), 0) - arrived_ms
            if wait_ms > 0:
                raise refusal(rate, wait_ms)
        kept_ms = 2 * max(rate.window_ms for rate in rates)
        try:
            await self._pass(
                rates,
                arrived_ms,
                TableName=self._limits,
                Key={LIMITS.hash_key: {"S": key}},
                more={str(LIMITS.ttl): {"N": str((arrived_ms + kept_ms) // 1000)}},
            )
        except WireError as error:
            self._shut[key, error.details["rate"]] = arrived_ms + error.details["retryAfterMs"]
            while len(self._shut) > MAX_SHUT:
                self._shut.popitem(last=False)
            raise

    async def _pass(
        self, rates: Sequence[Rate], arrived_ms: int, more: Mapping[str, Any], term: str | None = None, **row: Any
    ) -> dict[str, Any] | None:
        """The row as written. None: there is none, and the term wants one. Raises WireError."""
        ways = [windows.first_way(rate) for rate in rates]
        found: dict[str, Any] = {}
        for _ in range(ATTEMPTS):
            write = windows.write(list(zip(rates, ways, strict=True)), arrived_ms)
            more_values = {f":{name}": value for name, value in more.items()}
            try:
                answer = await self._client.update_item(
                    **row,
                    UpdateExpression="SET " + ",".join([*write.assignments, *(f"{name}=:{name}" for name in more)]),
                    ConditionExpression=" AND ".join([*write.terms, *([term] if term else [])]),
                    ExpressionAttributeValues=write.values | more_values,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except Exception as error:
                if not is_condition(error):
                    raise as_error(error, "counting what a client does") from error
                found = error.response.get("Item") or {}
                if not found and term:
                    return None
            else:
                attributes: dict[str, Any] = answer["Attributes"]
                return attributes
            chosen = [windows.way(rate, found, arrived_ms) for rate in rates]
            for rate, one in zip(rates, chosen, strict=True):
                if one is None:
                    raise refusal(rate, windows.wait_ms(rate, found, arrived_ms))
            ways = [one for one in chosen if one is not None]
        raise refusal(rates[-1], 0)


def refusal(rate: Rate, wait_ms: int) -> WireError:
    """What a client is told: which rate, what would be right, and when to try again."""
    return WireError(
        ErrorCode.RATE_LIMIT_EXCEEDED,
        f"At most {rate.most} in {rate.window_ms // 1000} s are allowed; try again later.",
        rate=rate.name,
        limit=rate.most,
        windowMs=rate.window_ms,
        retryAfterMs=max(wait_ms, 0),
    )


def network_of(address: str) -> str:
    """Whom an address stands for: an IPv4 address for itself, one of IPv6 for its network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # what the gateway does not know either is one client
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_NETWORK_BITS), strict=False))


def _key(kind: str, who: str) -> str:
    return f"{kind}-{hashlib.sha256(f'{kind} {who}'.encode()).hexdigest()}"

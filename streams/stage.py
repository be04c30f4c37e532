"""The contract of a stage: one session as one stage sees it, as a pure state machine.

A stage is given inputs, replies and timers, and answers with effects. It does no I/O, reads no clock, draws no random
number and logs nothing; everything that could differ between two runs comes in as data. So the same code runs under the
KCL, embedded, in replay, and in a test that is a list of inputs and a list of expected effects.

The driver promises: one step at a time per session; inputs in the order of the stream; the effects of one step in the
order in which they were given, its `Emit`s durable before a `Done` or `Reject` that follows them counts.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from streams.errors import Failure
from streams.records import Record


class Position(NamedTuple):
    """Where a record stands: its shard and its sequence number there.

    Positions of one partition key compare in the order of writing, across reshards too: a child's id is greater than
    its parents'. Those of different keys compare within one shard only.
    """

    shard_id: str
    sequence: int


class Input(msgspec.Struct, frozen=True):
    """A record, and what the driver knows of its way here.

    written_ms: when Kinesis had it; read_ms: when this stage was given it (both Unix milliseconds).
    """

    position: Position
    record: Record
    written_ms: int
    read_ms: int


class Request(msgspec.Struct, frozen=True, tag=True):
    """What a `Call` asks. Subclasses say which dependency answers and how hard the driver may try.

    dependency: the name of the service (`Service.name`); breakers and metrics are kept under it. attempts: tries in a
    row for transient errors (row S5). time_limit_s: for one try; for a long-lived call, to its first reply. guarded:
    whether an open breaker holds it back (audio for a recogniser stream that is open is not).
    """

    dependency: ClassVar[str]
    attempts: ClassVar[int] = 3
    time_limit_s: ClassVar[float] = 10.0
    long_lived: ClassVar[bool] = False
    guarded: ClassVar[bool] = True


class Emit(msgspec.Struct, frozen=True):
    """Put the record on my output stream, after all that I emitted for this session before."""

    record: Record


class Call(msgspec.Struct, frozen=True):
    """Ask a service. Every call is answered by exactly one last reply with its id, however it ends.

    call_id: chosen by the stage, unique among its open calls. lane: calls of one session with the same lane are
    performed one after another, in order; calls without a lane at once.
    """

    call_id: str
    request: Request
    lane: str = ""


class Done(msgspec.Struct, frozen=True):
    """All that the input at this position caused is settled, once my emits so far are durable."""

    position: Position


class Reject(msgspec.Struct, frozen=True):
    """The input at this position cannot be processed: keep its bytes and this reason, and go on."""

    position: Position
    failure: Failure


class Count(msgspec.Struct, frozen=True):
    """A figure for the metrics, under a name of row O5. Nothing depends on it."""

    metric: str
    value: float = 1.0
    unit: str = "Count"


Effect: TypeAlias = Emit | Call | Done | Reject | Count


class Reply(msgspec.Struct, frozen=True):
    """The answer to a call: a value, or a failure that retries did not mend.

    value: what the service's adapter returned (a msgspec struct). A long-lived call has several replies; `last` says
    that none will follow. called_ms, answered_ms: Unix milliseconds around the last try. A failure whose `retryable` is
    set means that the driver's own patience is over too: retries, the breaker's pause, and further rounds.
    """

    call_id: str
    value: Any = None
    failure: Failure | None = None
    called_ms: int = 0
    answered_ms: int = 0
    last: bool = True


class Stage(Protocol):
    """One session, as one stage sees it."""

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Take the next input. Every input is answered by one `Done` or `Reject` of its position, now or later."""

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """Take the answer to a call of mine. After a restore, a reply to an unknown call id is ignored."""

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """It is `wake_at_ms` or later."""

    def wake_at_ms(self) -> int | None:
        """When I want `on_timer` next (Unix milliseconds); asked after each step. None: not at all."""

    def held_bytes(self) -> int:
        """Input that I hold and that no service has taken yet. Past its bound I am given no more (row T8)."""

    def snapshot(self) -> bytes:
        """My settled state, after the input given last. A builder takes it back.

        The driver stores it only once every input up to that one is `Done`; so it leaves out what is in flight, and
        holds no audio. Beware the off-by-one: inputs *after* that one will be given again, that one will not.
        """

    def on_emitted(self, record: Record) -> None:
        """After a restore, before any input: what I had already emitted since the snapshot, in order."""


@runtime_checkable
class Waiting(Protocol):
    """A stage that concludes something from the time that passes without input; optional."""

    def on_held_up(self, now_ms: int) -> None:
        """Inputs of mine wait to be read: what I miss may be among them. Told again and again as long as it is so."""


class StageBuilder(Protocol):
    """Makes a session's stage, new (snapshot None) or from what `snapshot` gave on another day, on another machine.

    Raises NewerVersion for a snapshot written by a later release.
    """

    def __call__(self, session_id: str, snapshot: bytes | None) -> Stage:
        """The session's stage."""


class Replies(Protocol):
    """Where the adapter of a long-lived call puts what comes before the last reply."""

    def __call__(self, value: Any) -> None:
        """Give one reply that is not the last."""


class Service(Protocol):
    """One dependency of a stage: translates requests to the service's client, and its answers back. No policy.

    Retries, time limits and circuit breaking are the driver's. Raises `streams.errors` only.
    """

    name: str

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        """Do it, and return the value of the last reply.

        A long-lived call returns when it has ended as asked; it gives `replies` what comes meanwhile, and raises
        StreamBroken when it ends unasked. Cancelling it releases everything it holds.
        """

    async def close(self) -> None:
        """Release everything."""

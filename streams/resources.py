"""Every stream, table and index, as data: the local stack creates them from here, and so does the deployment.

Names are `{prefix}-{short name}`; commands take the short names.
"""

from typing import Final, Literal, NamedTuple

DEFAULT_PREFIX: Final = "herald"
DRAIN_S: Final = 1.8
"""So that a whole stack can be down within 5 s."""

StreamName = Literal["audio", "transcripts", "emotions", "speech", "receipts", "journal"]
StageName = Literal["transcribe", "emotion", "translate", "broadcast"]


class StreamSpec(NamedTuple):
    """A stream. consumers: how many read it by polling; they share 5 reads per second and shard."""

    name: StreamName
    consumers: int
    what: str


class StageSpec(NamedTuple):
    """A stage: what it reads, what it writes.

    drain_s: how long a stop waits for what is under way. Where that waits for audio which will not come any more, it is
    short: the next owner feeds it again.
    """

    name: StageName
    input: StreamName
    output: StreamName
    drain_s: float = DRAIN_S


class IndexSpec(NamedTuple):
    """A global secondary index of string keys, all attributes projected."""

    name: str
    hash_key: str
    range_key: str | None


class TableSpec(NamedTuple):
    """A table of string keys, billed per request. ttl: the attribute with the second at which an item expires."""

    name: str
    hash_key: str
    range_key: str | None = None
    indexes: tuple[IndexSpec, ...] = ()
    ttl: str | None = None


STREAMS: Final = (
    StreamSpec("audio", 2, "speakers' audio and session events"),
    StreamSpec("transcripts", 1, "what was recognised"),
    StreamSpec("emotions", 1, "the speaker's dynamics and the audio's quality"),
    StreamSpec("speech", 1, "captions and translated speech"),
    StreamSpec("receipts", 1, "what listeners got"),
    StreamSpec("journal", 1, "every step of every stage, for replay"),
)

STAGES: Final = (
    StageSpec("transcribe", "audio", "transcripts", drain_s=0.2),
    StageSpec("emotion", "audio", "emotions", drain_s=0.2),
    StageSpec("translate", "transcripts", "speech"),
    StageSpec("broadcast", "speech", "receipts"),
)

LISTENERS_INDEX: Final = "sessionId-targetLanguage-index"

SESSIONS: Final = TableSpec("Sessions", "sessionId", ttl="expiresAt")
CONNECTIONS: Final = TableSpec(
    "Connections",
    "connectionId",
    indexes=(IndexSpec(LISTENERS_INDEX, "sessionId", "targetLanguage"),),
    ttl="expiresAt",
)
LIMITS: Final = TableSpec("Limits", "key", ttl="expiresAt")
SNAPSHOTS: Final = TableSpec("Snapshots", "key", ttl="expiresAt")
DEAD_LETTERS: Final = TableSpec("DeadLetters", "id", "part", ttl="expiresAt")

TABLES: Final = (SESSIONS, CONNECTIONS, LIMITS, SNAPSHOTS, DEAD_LETTERS)


def lease_table(stage: str) -> TableSpec:
    """The leases and checkpoints of a stage, in the layout of the Kinesis Client Library."""
    return TableSpec(
        f"leases-{stage}", "leaseKey", indexes=(IndexSpec("LeaseOwnerToLeaseKeyIndex", "leaseOwner", "leaseKey"),)
    )


def physical_name(prefix: str, name: str) -> str:
    """The name of a stream or table in the environment `prefix`."""
    return f"{prefix}-{name}"

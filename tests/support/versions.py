"""What other releases of the same major version write: the one before, without fields that came later; one to come,
with fields that nobody knows yet."""

from collections.abc import Callable
from typing import Any

import msgspec

from stages.broadcast.logic import BroadcastState
from stages.emotion.state import EmotionState
from stages.transcribe.state import TranscribeState
from stages.translate.state import TranslateState
from streams.ordering import Memory
from streams.records import Receipt, Record, SessionEvent, SpeechPart
from streams.stage import Input, Reply, Stage, StageBuilder
from streams.timeline import Stub

SINCE_0_1_0: dict[type[msgspec.Struct], set[str]] = {
    SpeechPart: {"skipped_by"},
    Receipt: {"skipped_by"},
    Memory: {"skipped", "passed", "moved_ms", "reopened"},
    Stub: {"known_as"},
    SessionEvent: {"is_paused", "is_muted", "version"},
    TranscribeState: {"speaker_clock", "speaker"},
    EmotionState: {"speaker", "alerts"},
    TranslateState: {"behind", "version"},
    BroadcastState: {"behind", "lacking", "speaker"},
}
"""Fields that release 0.1.0 does not know."""

Release = Callable[[msgspec.Struct], Any]


def ours(struct: msgspec.Struct) -> Any:
    """As this release writes it."""
    return struct


def previous(struct: msgspec.Struct) -> Any:
    """As release 0.1.0 writes it."""
    return _written(struct, _drop_new, "")


def coming(struct: msgspec.Struct) -> Any:
    """As a release to come writes it."""
    return _written(struct, lambda _, fields: fields, "somethingNew")


def _drop_new(struct: msgspec.Struct, fields: dict[str, Any]) -> dict[str, Any]:
    new = {name for kind, names in SINCE_0_1_0.items() if isinstance(struct, kind) for name in names}
    return {name: value for name, value in fields.items() if name not in new}


def _written(value: Any, kept: Callable[[msgspec.Struct, dict[str, Any]], dict[str, Any]], unknown: str) -> Any:
    if isinstance(value, list | tuple | set):
        return [_written(one, kept, unknown) for one in value]
    if isinstance(value, dict):
        return {key: _written(one, kept, unknown) for key, one in value.items()}
    if not isinstance(value, msgspec.Struct):
        return value
    names = {field.name: field.encode_name for field in msgspec.structs.fields(value)}
    fields = kept(value, {name: getattr(value, name) for name in names})
    config = value.__struct_config__
    if config.array_like:
        more: list[Any] = [["new"]] if unknown else []
        return [_written(one, kept, unknown) for one in fields.values()] + more
    wire = {names[name]: _written(one, kept, unknown) for name, one in fields.items()}
    if config.tag_field is not None:
        wire[config.tag_field] = config.tag
    return wire | ({unknown: {"of": 1}} if unknown else {})


class Released:
    """A `Stage` of another release: what it reads and writes is that release's. states: its snapshots' struct."""

    def __init__(self, stage: Stage, decode: Callable[[bytes], msgspec.Struct], release: Release) -> None:
        self._stage = stage
        self._decode = decode
        self._release = release

    def on_record(self, received: Input, now_ms: int) -> Any:
        return self._stage.on_record(received, now_ms)

    def on_reply(self, reply: Reply, now_ms: int) -> Any:
        return self._stage.on_reply(reply, now_ms)

    def on_timer(self, now_ms: int) -> Any:
        return self._stage.on_timer(now_ms)

    def wake_at_ms(self) -> int | None:
        return self._stage.wake_at_ms()

    def held_bytes(self) -> int:
        return self._stage.held_bytes()

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._release(self._decode(self._stage.snapshot())))

    def on_emitted(self, record: Record) -> None:
        self._stage.on_emitted(record)


def in_turn(build: StageBuilder, decode: Callable[[bytes], msgspec.Struct], *releases: Release) -> StageBuilder:
    """Builds a session's stage as one release after another would, beginning with the first, over and over."""
    built = 0

    def build_next(session_id: str, snapshot: bytes | None) -> Stage:
        nonlocal built
        release = releases[built % len(releases)]
        built += 1
        known = None if snapshot is None else msgspec.msgpack.encode(release(decode(snapshot)))
        return Released(build(session_id, known), decode, release)

    return build_next

"""`herald dlq ls | show | redrive`: options, and what is printed."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ops import times
from ops.dlq.redrive import Outcome, redrive
from ops.dlq.store import Store
from ops.dlq.view import view
from ops.environment import Environment, environment
from ops.errors import CommandError
from ops.paths import paths
from ops.supervisor import tell
from streams.dead_letters import DeadLetter
from streams.errors import HeraldError, NotFound
from streams.resources import STAGES

COST: Final = (
    "Letters are found by a scan, which reads the whole table, the letters' bytes included: half a read unit per 4 KB."
    " Letters are kept for 30 days."
)
Work = Callable[[argparse.Namespace, Environment, Store], Coroutine[Any, Any, int]]


class Line(NamedTuple):
    """A letter as it is listed."""

    id: str
    state: str
    buried_at_ms: int
    stage: str
    stream: str
    session: str
    shard_id: str
    sequence_number: str
    code: str
    reason: str
    attempts: int
    bytes: int
    redriven: int
    redriven_at_ms: int | None
    redriven_to: str
    before: list[str]


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = COST
    what = parser.add_subparsers(required=True, metavar="ls | show | redrive")
    ls = what.add_parser("ls", help="list them", description="Lists dead letters, the oldest first.", epilog=COST)
    _add_filters(ls)
    ls.add_argument("--json", action="store_true", help="print one JSON object")
    ls.set_defaults(work=_ls)
    show = what.add_parser(
        "show", help="one of them", description="Shows a letter: its facts, and its record without what was said."
    )
    show.add_argument("id", metavar="ID")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.add_argument(
        "--bytes", type=Path, metavar="FILE", help="write the record's bytes, which may hold speech, there"
    )
    show.set_defaults(work=_show)
    back = what.add_parser(
        "redrive",
        help="send them back",
        description="Sends records back into their stream, under their key, each once, those of a key in order.",
        epilog=COST,
    )
    back.add_argument("ids", nargs="*", metavar="ID")
    back.add_argument("--all", action="store_true", help="all that have not been sent back yet (and fit the filters)")
    back.add_argument("--again", action="store_true", help="also those that were sent back before")
    _add_filters(back)
    back.add_argument("--json", action="store_true", help="print one JSON object")
    back.set_defaults(work=_redrive)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", choices=[stage.name for stage in STAGES], help="only this stage's")
    parser.add_argument("--session", metavar="S", help="only this session's (the partition key)")
    parser.add_argument(
        "--since", type=_since, metavar="T", help="only those kept since then: 30m, 2h, 1d, an ISO time"
    )


def _since(text: str) -> int:
    return times.moment_ms(text, time.time_ns() // 1_000_000)


def run(arguments: argparse.Namespace) -> int:
    """Do it. Raises CommandError."""
    work: Work = arguments.work
    return asyncio.run(_run(work, arguments))


async def _run(work: Work, arguments: argparse.Namespace) -> int:
    where = environment(paths())
    async with where.client("dynamodb") as dynamodb:
        try:
            return await work(arguments, where, Store(dynamodb, where.prefix))
        except NotFound as error:
            raise CommandError(f"{where.name} has no Herald, or not under this prefix: {error}") from error
        except HeraldError as error:
            raise CommandError(f"{where.name}: {error}") from error


# --- ls -----------------------------------------------------------------------------------------------------------


async def _ls(arguments: argparse.Namespace, where: Environment, store: Store) -> int:
    found = [_line(letter) async for letter in _chosen(arguments, store)]
    if arguments.json:
        _print({"environment": where.name, "letters": [line._asdict() for line in found]})
        return 0
    for line in found:
        print(f"{times.shown(line.buried_at_ms)}  {line.code:<18} {line.session:<24} {_tries(line)}  {line.state}")
        print(f"    {line.id}")
    kept = sum(line.redriven == 0 for line in found)
    print(f"{len(found)} dead letters in {where.name}, {kept} of them never sent back")
    return 0


def _chosen(arguments: argparse.Namespace, store: Store) -> Any:
    return store.letters(stage=arguments.stage, session=arguments.session, since_ms=arguments.since)


def _line(letter: DeadLetter) -> Line:
    return Line(
        id=letter.id,
        state=_state(letter),
        buried_at_ms=letter.buried_at_ms,
        stage=letter.stage,
        stream=letter.stream,
        session=letter.key,
        shard_id=letter.shard_id,
        sequence_number=str(letter.sequence),
        code=letter.failure.code,
        reason=letter.failure.message,
        attempts=letter.attempts_before + letter.attempts,
        bytes=letter.size_bytes,
        redriven=letter.redriven,
        redriven_at_ms=letter.redriven_at_ms,
        redriven_to=letter.redriven_to,
        before=letter.before,
    )


def _state(letter: DeadLetter) -> str:
    if letter.redriving_at_ms is not None:
        return "being sent back, or that was cut short"
    if letter.redriven_at_ms is not None:
        return f"sent back {times.shown(letter.redriven_at_ms)}"
    return "came back" if letter.before else "kept"


def _tries(line: Line) -> str:
    return f"{line.attempts} {'try' if line.attempts == 1 else 'tries'}"


# --- show ---------------------------------------------------------------------------------------------------------


async def _show(arguments: argparse.Namespace, where: Environment, store: Store) -> int:
    letter = await store.read(arguments.id)
    if letter is None:
        raise CommandError(f"there is no dead letter {arguments.id} in {where.name}; herald dlq ls lists them")
    if arguments.bytes is not None:
        _write(arguments.bytes, letter.data)
    facts = _line(letter)._asdict()
    if arguments.json:
        _print(facts | {"record": view(letter.data)})
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = times.shown(value) if name.endswith("_at_ms") and value is not None else value
        print(f"{name:<{width}}  {', '.join(value) if isinstance(value, list) else shown}")
    print("record")
    for name, value in view(letter.data).items():
        print(f"  {name:<{width - 2}}  {value}")
    return 0


def _write(path: Path, data: bytes) -> None:
    """For its owner only: it may hold speech."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise CommandError(f"{path} is there already; name a file that is not") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


# --- redrive ------------------------------------------------------------------------------------------------------


async def _redrive(arguments: argparse.Namespace, where: Environment, store: Store) -> int:
    letters = await _to_send(arguments, where, store)
    outcomes: list[tuple[Outcome, str]] = []

    def note(outcome: Outcome, outlook: str) -> None:
        outcomes.append((outcome, outlook))
        if not arguments.json:
            for letter in outcome.letters:
                place = outcome.place
                stands = f"at {place.shard_id} {place.sequence}" if place else ""
                print(f"{letter.id}\n    {'; '.join(filter(None, (stands, outcome.why)))}")

    tell(f"sending back {len(letters)} letters in {where.name}")
    async with where.client("kinesis") as kinesis:
        await redrive(where, kinesis, store, letters, again=arguments.again, on_outcome=note)
    sent = [outcome for outcome, _ in outcomes if outcome.place is not None]
    failed = len(outcomes) - len(sent)
    outlooks = {text: sum(other == text for _, other in outcomes) for _, text in outcomes if text}
    if arguments.json:
        _print(
            {
                "environment": where.name,
                "sent": [
                    {
                        "ids": [letter.id for letter in outcome.letters],
                        "shard_id": outcome.place.shard_id,
                        "sequence_number": str(outcome.place.sequence),
                    }
                    for outcome in sent
                    if outcome.place is not None
                ],
                "not_sent": [
                    {"ids": [letter.id for letter in outcome.letters], "why": outcome.why}
                    for outcome, _ in outcomes
                    if outcome.place is None
                ],
                "outlook": outlooks,
            }
        )
    else:
        print(f"{len(sent)} records sent back, {failed} not")
        for text, number in outlooks.items():
            print(f"{number} of them: {text}")
    return 1 if failed else 0


async def _to_send(arguments: argparse.Namespace, where: Environment, store: Store) -> Sequence[DeadLetter]:
    if bool(arguments.ids) == arguments.all:
        raise CommandError("name the letters to send back, or say --all")
    if arguments.all:
        found = [letter async for letter in _chosen(arguments, store)]
        fresh = [letter for letter in found if letter.redriven_at_ms is None and letter.redriving_at_ms is None]
        return found if arguments.again else fresh
    letters = []
    for wanted in arguments.ids:
        letter = await store.read(wanted)
        if letter is None:
            raise CommandError(f"there is no dead letter {wanted} in {where.name}; nothing was sent")
        letters.append(letter)
    return letters


def _print(found: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    sys.stdout.flush()

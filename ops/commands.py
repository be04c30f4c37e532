"""What `herald` can be asked, and what the answer's exit code is.

0 only on success. Results go to stdout, everything else to stderr; an error is one plain sentence.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from ops import control, demo, stack_file, tokens
from ops.audit import command as audit
from ops.chaos import command as chaos
from ops.dlq import command as dlq
from ops.errors import CommandError
from ops.parts import ENGINES, Options, part
from ops.paths import paths
from ops.supervisor import Supervisor, free_port, tell
from streams import kcl_daemon
from streams.errors import ConfigurationError
from streams.program import RUNNERS


def run(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        return command(arguments)
    except CommandError as error:
        tell(f"herald: {error}")
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="herald", description="One voice goes in, voices come out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(_command(commands, "up", _up, "run the whole system on this machine"))
    _add_demo(_command(commands, "demo", _demo, "send recordings through it and hear what comes out"))
    chaos.add(_command(commands, "chaos", _chaos, "a run full of faults, and what became of every word"))
    restart = _command(commands, "restart", _restart, "start a part of the running stack again")
    restart.add_argument("part", metavar="PART", help="its name, as in what `herald up` prints")
    token = _command(commands, "token", _token, "a token for the local stack")
    token.add_argument("--role", choices=["speaker"], default="speaker", help="who it is for (default: speaker)")
    token.add_argument("--subject", default="speaker", help="who the bearer is (default: speaker)")
    _command(commands, "env", _env, "the running stack's environment, as shell exports")
    audit.add(_command(commands, "audit", audit.run, "what became of every word of a session"))
    dlq.add(_command(commands, "dlq", dlq.run, "records that could not be processed: list, show, send back"))
    return parser


def _command(commands: Any, name: str, do: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    parser.set_defaults(command=do)
    return parser


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=8080, help="the gateway's port; 0 takes a free one (default: 8080)"
    )
    parser.add_argument(
        "--proxies", action="store_true", help="put proxies whose network can fail before Kinesis and DynamoDB"
    )
    parser.add_argument("--keep", action="store_true", help="keep streams and tables for the next `up`")
    _add_stack_options(parser)


def _add_stack_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="the recogniser (default: pocketsphinx)")
    parser.add_argument("--shards", type=_positive, default=1, help="shards of each stream (default: 1)")
    parser.add_argument(
        "--runner", choices=RUNNERS, default=RUNNERS[0], help="what runs the stages (default: embedded)"
    )


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--audio", type=Path, nargs="+", action="extend", metavar="FILE", help="WAV files to speak")
    parser.add_argument("--to", default="es,ca", metavar="LANGUAGES", help="the listeners' languages (default: es,ca)")
    parser.add_argument(
        "--listeners", type=_positive, default=1, metavar="N", help="listeners per language (default: 1)"
    )
    parser.add_argument(
        "--gap", type=_seconds, metavar="S", help="pause between recordings (default: 0.3 to 3 s, varied)"
    )
    parser.add_argument(
        "--minutes", type=_seconds, metavar="M", help="say the recordings again until the talk is so long"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo-out"), metavar="DIR", help="where to leave sound and page"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.add_argument(
        "--port", type=_port, help="the gateway's port, if the demo starts a stack (default: a free one)"
    )
    _add_stack_options(parser)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 24 * 3600:
        raise argparse.ArgumentTypeError("a number from 0")
    return number


def check_runner(runner: str) -> None:
    """Raises CommandError, saying what to run, when something of the runner is missing."""
    if runner == "kcl":
        try:
            kcl_daemon.jars()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error


def _up(arguments: argparse.Namespace) -> int:
    check_runner(arguments.runner)
    options = Options(
        port=arguments.port or free_port(),
        engine=arguments.engine,
        shards=arguments.shards,
        keep=arguments.keep,
        runner=arguments.runner,
        proxies=arguments.proxies,
    )
    asyncio.run(Supervisor(options, paths(), tell).run())
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    check_runner(arguments.runner)
    wish = demo.Wish(
        audio=arguments.audio or [],
        languages=demo.languages(arguments.to),
        listeners=arguments.listeners,
        gap_s=arguments.gap,
        minutes=arguments.minutes,
        out=arguments.out,
        as_json=arguments.json,
        port=arguments.port,
        engine=arguments.engine,
        shards=arguments.shards,
        runner=arguments.runner,
    )
    return asyncio.run(until_told(demo.run(wish, paths())))


def _chaos(arguments: argparse.Namespace) -> int:
    return asyncio.run(until_told(chaos.work(arguments)))


async def until_told(work: Coroutine[Any, Any, int]) -> int:
    """The work's exit code; 128 and the signal's number when SIGTERM or SIGHUP ended it, after it has cleaned up."""
    task = asyncio.ensure_future(work)
    told: list[int] = []

    def stop(number: int) -> None:
        if not told:  # a second signal must not end the cleaning up
            told.append(number)
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves it
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not told:
            raise
        return 128 + told[0]


def _restart(arguments: argparse.Namespace) -> int:
    part(arguments.part)
    print(asyncio.run(control.ask(paths().socket, control.Wish(do="restart", part=arguments.part))))
    return 0


def _token(arguments: argparse.Namespace) -> int:
    print(tokens.token(stack_file.running(paths()), arguments.subject))
    return 0


def _env(_: argparse.Namespace) -> int:
    sys.stdout.write(stack_file.exports(stack_file.running(paths()).environment))
    return 0

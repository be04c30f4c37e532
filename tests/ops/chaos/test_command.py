import argparse
import asyncio
import json

import pytest

from ops.chaos import command


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser)
    return parser.parse_args(words)


def test_the_plan_that_was_asked_for_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(command.work(parsed("--seed", "9", "--minutes", "1", "--sessions", "2", "--plan"))) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["seed"], shown["talk_s"], len(shown["talks"])) == (9, 60, 2)


def test_help_lists_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    shown = capsys.readouterr().out
    for name in ("flaky", "kinesis-away", "dynamodb-away", "transcribe-away", "zombie"):
        assert shown.count(name) >= 2


@pytest.mark.parametrize(
    "words", [("--minutes", "0"), ("--sessions", "0"), ("--sessions", "1000"), ("--scenario", "x")]
)
def test_what_cannot_be_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)

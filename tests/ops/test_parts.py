import os
from pathlib import Path

import pytest

from ops.children import Ready
from ops.errors import CommandError
from ops.parts import PARTS, Context, Options, base_environment, child_environment, given, part, parts
from ops.paths import Paths
from streams.program import RUNNERS
from streams.resources import STAGES


@pytest.mark.parametrize("proxies", [False, True])
def test_each_part_comes_after_those_that_it_needs(proxies: bool) -> None:
    before: set[str] = set()
    for found in parts(Options(proxies=proxies)):
        assert set(found.needs) <= before, found.name
        before.add(found.name)


def test_every_stage_is_a_part_of_its_own() -> None:
    assert {stage.name for stage in STAGES} <= {found.name for found in PARTS}


def test_a_ready_part_gives_its_address() -> None:
    ready = Ready("https://localhost:1", {"control": "http://127.0.0.1:2"})
    assert given(part("transcribe-twin"), ready) == {
        "TRANSCRIBE_ENDPOINT_URL": "https://localhost:1",
        "HERALD_TRANSCRIBE_CONTROL_URL": "http://127.0.0.1:2",
    }


def test_without_proxies_there_are_none() -> None:
    assert not [found.name for found in parts(Options()) if "proxy" in found.name]


def test_a_proxy_gives_its_own_address_for_that_of_the_service_behind_it() -> None:
    for name in ("kinesis", "dynamodb"):
        straight = part(name, parts(Options()))
        behind = part(name, parts(Options(proxies=True)))
        proxy = part(f"{name}-proxy", parts(Options(proxies=True)))
        assert proxy.gives == straight.gives
        assert behind.gives not in (None, straight.gives)
        assert behind.gives in proxy.command(Context(Options(proxies=True), Paths(Path("/state")), 0))
        assert proxy.name in part("provision", parts(Options(proxies=True))).needs


def test_an_unknown_part_is_answered_with_those_there_are() -> None:
    with pytest.raises(CommandError, match="kinesis"):
        part("none")


def test_a_twin_keeps_its_port_when_it_is_started_again() -> None:
    context = Context(Options(), Paths(Path("/state")), 4711)
    assert "4711" in part("kinesis").command(context)


def test_a_users_account_does_not_leak_into_the_stack() -> None:
    stack = base_environment(Options(port=1), Paths(Path("/state")), "secret")
    environment = child_environment({"AWS_PROFILE": "mine", "STABILITY_THRESHOLD": "0.9", "PATH": "/bin"}, stack)
    assert "AWS_PROFILE" not in environment
    assert environment["STABILITY_THRESHOLD"] == "0.9"
    assert environment["AWS_CONFIG_FILE"] == "/dev/null"
    assert environment["PATH"] == "/bin"


def test_the_recognisers_quota_is_its_engines_room() -> None:
    paths = Paths(Path("/state"))
    tones = part("transcribe-twin").command(Context(Options(engine="tones"), paths, 0))
    speech = part("transcribe-twin").command(Context(Options(engine="pocketsphinx"), paths, 0))

    assert int(tones[tones.index("--max-concurrent-streams") + 1]) >= 100
    workers, each = (int(speech[speech.index(name) + 1]) for name in ("--workers", "--streams-per-worker"))
    assert workers == os.cpu_count()
    assert int(speech[speech.index("--max-concurrent-streams") + 1]) == workers * each


def test_the_door_knows_what_the_engine_can_hear() -> None:
    gateway = part("gateway")
    paths = Paths(Path("/state"))
    assert gateway.environment(Context(Options(engine="pocketsphinx"), paths, 0))["SOURCE_LANGUAGES"] == "en-US"
    assert "SOURCE_LANGUAGES" not in gateway.environment(Context(Options(engine="tones"), paths, 0))


def test_a_stage_is_told_its_runner_and_given_time_for_it() -> None:
    for runner in RUNNERS:
        options = Options(runner=runner)
        command = part("translate").command(Context(options, Paths(Path("/state")), 0))
        assert command[command.index("--runner") + 1] == runner
    assert part("translate").ready_within_s(Options(runner="kcl")) > part("translate").ready_within_s(Options())
    assert part("kinesis").ready_within_s(Options(runner="kcl")) == part("kinesis").ready_within_s(Options())

import fcntl
from pathlib import Path

import pytest

from ops import stack_file
from ops.environment import Environment, environment
from ops.errors import CommandError
from ops.paths import Paths
from tests.ops.test_stack_file import a_stack

SHELL = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDSHELL",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)


def test_a_local_stack_that_runs_comes_first(tmp_path: Path) -> None:
    found = Paths(tmp_path)
    stack = a_stack()
    stack_file.write(found.stack_file, stack)
    with found.lock_file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert environment(found, {}) == Environment("the local stack", "herald", "tones", stack.environment)
        stack.state = "starting"
        stack_file.write(found.stack_file, stack)
        with pytest.raises(CommandError, match="is starting"):
            environment(found, {})


def test_else_the_shell_s_environment_with_its_prefix(tmp_path: Path) -> None:
    found = environment(Paths(tmp_path), {"HERALD_PREFIX": "staging"})
    assert found == Environment("AWS eu-west-1, prefix staging", "staging", region="eu-west-1")
    assert environment(Paths(tmp_path), {"AWS_REGION": "eu-west-2"}).region == "eu-west-2"
    assert found.physical("audio") == "staging-audio"
    assert environment(Paths(tmp_path), {}).prefix == "herald"


def test_a_shell_without_a_region_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(CommandError, match=r"herald up.*no AWS region"):
        environment(Paths(tmp_path), {})


async def test_a_shell_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = environment(Paths(tmp_path), {})
    with pytest.raises(CommandError, match="no AWS credentials"):
        async with found.client("kinesis"):
            raise AssertionError("it must not be opened")


def test_a_profile_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CommandError, match="nobody"):
        environment(Paths(tmp_path), {})


async def test_clients_go_where_the_stack_is_whatever_the_shell_says(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_KINESIS": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    with monkeypatch.context() as other:
        other.setenv("AWS_PROFILE", "nobody")
        async with Environment("the local stack", "herald", "tones", variables).client("kinesis") as client:
            assert client.meta.endpoint_url == "http://127.0.0.1:9"
            assert client.meta.region_name == "us-east-1"
    async with Environment("AWS eu-west-2", "herald", region="eu-west-2").client("kinesis") as client:
        assert client.meta.region_name == "eu-west-2"

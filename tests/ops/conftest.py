"""An environment of a test's own: real Kinesis twin, real DynamoDB, every stream and table; commands find it by the
shell's variables, as they would find AWS."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from local.provision import provision
from ops.environment import Environment, environment
from ops.paths import paths
from streams.aws import Clients
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

_numbers = count()


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a shell that works against the services."""
    with kinesis_twin() as kinesis, dynamodb(tmp_path_factory.mktemp("dynamodb")) as tables:
        yield CREDENTIALS | {"AWS_ENDPOINT_URL_KINESIS": kinesis, "AWS_ENDPOINT_URL_DYNAMODB": tables}


@pytest.fixture
async def herald(endpoints: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """A prefix that no other test has."""
    prefix = f"o{next(_numbers)}"
    for name, value in (endpoints | {"HERALD_DIR": str(tmp_path), "HERALD_PREFIX": prefix}).items():
        monkeypatch.setenv(name, value)
    async with Clients() as clients:
        await provision(clients, prefix, 2)
    return environment(paths())

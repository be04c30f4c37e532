"""Which environment a command acts on: the local stack that runs here, else the AWS environment that the shell has.

The one place that decides it. `herald env` puts a shell into the local stack's environment; both ways lead to the same.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ProfileNotFound

from ops import stack_file
from ops.errors import CommandError
from ops.paths import Paths
from streams.aws import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from streams.resources import DEFAULT_PREFIX, physical_name

MAX_CONNECTIONS: Final = 50
_NO_PROFILE: Final[dict[str, Any]] = {"profile": (None, [], None, None)}
"""The local stack needs nothing of a user's AWS profile, not even that it exists."""


class Environment(NamedTuple):
    """name: for people. prefix: of streams and tables. engine: the local stack's recogniser. variables: the local
    stack's; None: the shell's own count, with this region."""

    name: str
    prefix: str
    engine: str | None = None
    variables: Mapping[str, str] | None = None
    region: str | None = None

    def physical(self, name: str) -> str:
        """A stream's or table's name here."""
        return physical_name(self.prefix, name)

    @contextlib.asynccontextmanager
    async def client(self, service: str) -> AsyncIterator[Any]:
        """A client for `service` (boto's name), without retries: who calls decides.

        Raises CommandError when the shell has no region or no credentials.
        """
        session = AioSession() if self.variables is None else AioSession(_NO_PROFILE)
        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=MAX_CONNECTIONS,
            retries={"total_max_attempts": 1},
        )
        async with contextlib.AsyncExitStack() as stack:
            try:
                if self.variables is None and await session.get_credentials() is None:
                    raise CommandError(_nothing("it has no AWS credentials"))
                made = session.create_client(service, config=config, **self._where(service))
                client = await stack.enter_async_context(made)
            except BotoCoreError as error:
                raise CommandError(_nothing(str(error))) from error
            yield client

    def _where(self, service: str) -> dict[str, str]:
        if self.variables is None:
            return {"region_name": self.region} if self.region else {}
        variable = "AWS_ENDPOINT_URL_" + service.upper().replace("-", "_")
        return {
            "region_name": self.variables["AWS_REGION"],
            "endpoint_url": self.variables[variable],
            "aws_access_key_id": self.variables["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.variables["AWS_SECRET_ACCESS_KEY"],
        }


def environment(paths: Paths, environ: Mapping[str, str] = os.environ) -> Environment:
    """The environment to act on.

    Raises CommandError when a local stack is starting or stopping, or there is none and the shell names no region.
    """
    if stack_file.read(paths) is not None:
        stack = stack_file.running(paths)
        return Environment("the local stack", stack.prefix, stack.engine, stack.environment)
    try:  # AWS_REGION is what newer tools read, AWS_DEFAULT_REGION or the profile what this client does
        region = environ.get("AWS_REGION", "") or AioSession().get_config_variable("region")
    except ProfileNotFound as error:
        raise CommandError(_nothing(str(error))) from error
    if not region:
        raise CommandError(_nothing("it names no AWS region"))
    prefix = environ.get("HERALD_PREFIX", "") or DEFAULT_PREFIX
    return Environment(f"AWS {region}, prefix {prefix}", prefix, region=region)


def _nothing(why: str) -> str:
    return f"no stack runs here (start one with: herald up), and the shell has no AWS environment: {why}"

"""Asynchronous invocations of Lambda functions, without the SDK's client: every change of a state makes one."""

from typing import Any, Final
from urllib.parse import quote

from streams.rest_api import RestApi

_API_VERSION: Final = "2015-03-31"


class Invocations:
    """Lambda's client, as far as the project calls it. Arguments: see `RestApi`."""

    def __init__(self, client: Any, credentials: Any, **bounds: Any) -> None:
        self._api = RestApi(client, credentials, **bounds)

    async def invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:  # noqa: N803 - the SDK's
        """Hand a function its event. InvocationType: "Event", for an answer is not read.

        Raises HeraldError, and what the connection raises; NotFound where there is no such function.
        """
        path = f"/{_API_VERSION}/functions/{quote(FunctionName, safe='')}/invocations"
        headers = {"x-amz-invocation-type": InvocationType, "content-type": "application/json"}
        await self._api.post(path, Payload, f"invoking {FunctionName}", headers)

    async def close(self) -> None:
        """Close the connections that invocations went by."""
        await self._api.close()

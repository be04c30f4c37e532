"""An instance of the function `control`, for a test that runs several: one connection floods it for a while.

python -m tests.support.flood CONNECTION_ID SECONDS

Waits for a line once it is ready; then prints, of what passed, when it came and when it was answered
(Unix milliseconds).
"""

import asyncio
import json
import sys
from typing import Any

from gateway import handler
from gateway.lambdas import now_ms


def event(connection_id: str, arrived_ms: int) -> dict[str, Any]:
    context = {
        "routeKey": "heartbeat",
        "connectionId": connection_id,
        "requestTimeEpoch": arrived_ms,
        "requestId": "r",
        "identity": {"sourceIp": "192.0.2.1"},
    }
    return {"requestContext": context, "body": '{"action":"heartbeat"}', "isBase64Encoded": False}


async def flood(connection_id: str, seconds: float) -> None:
    await handler.FUNCTION.open()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    until_ms = now_ms() + seconds * 1000
    while (at_ms := now_ms()) < until_ms:
        answer = await handler.handle(event(connection_id, at_ms), None)
        if answer["statusCode"] == 200:
            print(at_ms, now_ms())
        else:
            assert json.loads(answer["body"])["code"] == "RATE_LIMIT_EXCEEDED", answer
    await handler.FUNCTION.close()


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1], float(sys.argv[2])))

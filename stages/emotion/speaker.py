"""The adapter to the speaker: posts a warning to the connection that the session's row names (row W15).

Nothing waits for it and nothing rests on it. Its breaker is its own, not the driver's: that one would keep the stage
from reading while it is open. A warning that cannot be sent then is not sent.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from stages.emotion.quality import Code
from stages.emotion.requests import SPEAKER, Warn, Warned
from streams.aws import as_error
from streams.breakers import Guard
from streams.errors import HeraldError, NotFound
from streams.stage import Replies, Request

ADVICE: Final[dict[Code, str]] = {
    "AUDIO_LOW_SNR": "There is much noise behind the voice: go nearer to the microphone, or to a quieter place.",
    "AUDIO_CLIPPING": "The sound is too loud and distorts: turn the microphone down.",
    "AUDIO_ECHO": "There is an echo: use headphones, or turn the loudspeakers down.",
    "AUDIO_SILENCE": "Nothing is heard: see whether the microphone is on and the right one.",
}
OVER: Final[dict[Code, str]] = {
    "AUDIO_LOW_SNR": "The noise is low again.",
    "AUDIO_CLIPPING": "The sound does not distort any more.",
    "AUDIO_ECHO": "The echo is gone.",
    "AUDIO_SILENCE": "The voice is heard again.",
}


class AudioQualityWarning(msgspec.Struct, frozen=True, tag_field="type", tag="audioQualityWarning"):
    """To the speaker. active: whether it begins, or is over. timestamp: Unix seconds."""

    code: Code
    message: str
    active: bool
    timestamp: int


MESSAGES: Final = (AudioQualityWarning,)
"""Every message that this stage sends."""


class Speaker:
    """A `Service`. clients: of DynamoDB and of the management API, made when they are first needed."""

    name = SPEAKER

    def __init__(self, clients: Callable[[str], Awaitable[Any]], sessions: str, guard: Guard) -> None:
        self._clients = clients
        self._sessions = sessions
        self._guard = guard

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Warned:
        """Post it. Raises HeraldError."""
        assert isinstance(request, Warn)
        if not self._guard.may_call():
            return Warned(reached=False)
        called_ms = time.time_ns() // 1_000_000
        try:
            reached = await self._tell(session_id, request)
        except HeraldError as error:
            if error.retryable:
                self._guard.failed(error.code, called_ms)
            else:
                self._guard.succeeded()
            raise
        except BaseException:
            self._guard.failed("TimedOut", called_ms)  # cut off at its time limit, or with the stage
            raise
        self._guard.succeeded()
        return Warned(reached=reached)

    async def close(self) -> None:
        """Nothing is held."""

    async def _tell(self, session_id: str, request: Warn) -> bool:
        text = (ADVICE if request.active else OVER)[request.code]
        message = AudioQualityWarning(request.code, text, request.active, request.at_ms // 1000)
        try:
            dynamodb = await self._clients("dynamodb")
            answer = await dynamodb.get_item(
                TableName=self._sessions,
                Key={"sessionId": {"S": session_id}},
                ProjectionExpression="speakerConnectionId",
            )
            if "Item" not in answer:
                return False
            api = await self._clients("apigatewaymanagementapi")
            connection_id = answer["Item"]["speakerConnectionId"]["S"]
            await api.post_to_connection(ConnectionId=connection_id, Data=msgspec.json.encode(message))
        except Exception as error:
            failure = as_error(error, "warning a speaker")
            if isinstance(failure, NotFound) and failure.code == "GoneException":
                return False  # it is away
            raise failure from error
        return True

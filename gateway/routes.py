"""Every route and every function, as data: the local gateway routes by it, and so does the deployment.

A new control route is one entry here and one small function in `control.ROUTES`.
"""

from typing import Final, Literal, NamedTuple

ROUTE_SELECTION: Final = "$request.body.action"
MAX_CONTROL_BYTES: Final = 4 * 1024
MAX_AUDIO_BYTES: Final = 32 * 1024
"""Decoded (row W20)."""
MAX_MESSAGE_BYTES: Final = 128 * 1024
"""API Gateway's limit of a message."""
MAX_FRAME_BYTES: Final = 32 * 1024
"""API Gateway's limit of a WebSocket frame; larger ones close the connection with 1009."""
_ENVELOPE_BYTES: Final = 512
"""What a sendAudio message has besides its audio: names and numbers take some 150 bytes, blanks a few."""
MAX_AUDIO_BYTES_PER_FRAME: Final = (MAX_FRAME_BYTES - _ENVELOPE_BYTES) // 4 * 3
"""Audio that fits a frame as base64, with its envelope: 0.75 s. More, up to MAX_AUDIO_BYTES, takes several frames."""

FunctionName = Literal["ingest", "control", "welcome", "notify", "status", "sweep", "pulse", "drain"]
Who = Literal["speaker", "listener", "both", "anyone"]


class FunctionSpec(NamedTuple):
    """A Lambda function (row N12). handler: module and name of its entry; time_limit_s: when Lambda ends it.

    every_s: it is invoked on a schedule, by EventBridge in production (rate(1 minute) is its least).
    """

    name: FunctionName
    handler: str
    memory_mb: int
    time_limit_s: int
    every_s: int | None = None


class RouteSpec(NamedTuple):
    """A route. who: whom its function lets act; answers: whether the client gets the function's body."""

    key: str
    function: FunctionName
    who: Who
    answers: bool = True


FUNCTIONS: Final = (
    FunctionSpec("ingest", "ingest.handler.handler", 1024, 29),
    FunctionSpec("control", "gateway.handler.handler", 512, 10),
    FunctionSpec("welcome", "gateway.welcome.handler", 512, 10),
    FunctionSpec("notify", "gateway.notify.handler", 512, 10),
    FunctionSpec("status", "gateway.status.handler", 256, 5),
    FunctionSpec("sweep", "gateway.sweep.handler", 512, 60, every_s=60),
    FunctionSpec("pulse", "gateway.pulse.handler", 512, 60, every_s=60),
    FunctionSpec("drain", "gateway.drain.handler", 512, 60),
)
"""`welcome`, `notify` and `status` have no route: other functions invoke them, and do not wait. `sweep` and `pulse`
have a schedule. `drain` is invoked by hand, before a deployment."""

ROUTES: Final = (
    RouteSpec("$connect", "control", "anyone", answers=False),
    RouteSpec("$disconnect", "control", "anyone", answers=False),
    RouteSpec("$default", "control", "anyone"),
    RouteSpec("sendAudio", "ingest", "speaker"),
    RouteSpec("pauseBroadcast", "control", "speaker"),
    RouteSpec("resumeBroadcast", "control", "speaker"),
    RouteSpec("muteBroadcast", "control", "speaker"),
    RouteSpec("unmuteBroadcast", "control", "speaker"),
    RouteSpec("setVolume", "control", "speaker"),
    RouteSpec("speakerStateChange", "control", "speaker"),
    RouteSpec("pausePlayback", "control", "listener"),
    RouteSpec("changeLanguage", "control", "listener"),
    RouteSpec("endSession", "control", "speaker"),
    RouteSpec("getSessionStatus", "control", "speaker"),
    RouteSpec("heartbeat", "control", "both"),
)

BY_KEY: Final = {route.key: route for route in ROUTES}


def function(name: str) -> FunctionSpec:
    """The function called so. Raises KeyError."""
    return {spec.name: spec for spec in FUNCTIONS}[name]  # type: ignore[index]  # any text may be asked for


def physical_function_name(prefix: str, name: str) -> str:
    """The name of a function in the environment `prefix`."""
    return f"{prefix}-{name}"

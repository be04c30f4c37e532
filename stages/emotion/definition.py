"""The stage as a program."""

from collections.abc import Sequence

from stages.emotion.logic import builder
from stages.emotion.requests import SPEAKER
from stages.emotion.settings import EmotionSettings
from stages.emotion.speaker import Speaker
from streams.aws import Clients
from streams.breakers import Guard
from streams.policy import Breaker
from streams.program import ProgramContext, StageDefinition
from streams.resources import SESSIONS, STAGES
from streams.stage import Service


async def _services(settings: EmotionSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    if settings.enable_emotion_detection == "false":
        return []
    guard = Guard(SPEAKER, Breaker(), context.log, context.metrics)
    return [Speaker(clients.get, context.physical(SESSIONS.name), guard)]


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "emotion"),
    settings=EmotionSettings,
    build=builder,
    services=_services,
)

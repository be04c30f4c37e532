"""The stage as a program."""

from collections.abc import Sequence

from stages.emotion.logic import builder
from stages.emotion.settings import EmotionSettings
from stages.emotion.speaker import Speaker
from streams.aws import Clients
from streams.program import ProgramContext, StageDefinition
from streams.resources import SESSIONS, STAGES
from streams.stage import Service


async def _services(settings: EmotionSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    if settings.enable_emotion_detection == "false":
        return []
    return [Speaker(clients.get, context.physical(SESSIONS.name))]


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "emotion"),
    settings=EmotionSettings,
    build=builder,
    services=_services,
)

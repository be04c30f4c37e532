"""The stage as a program."""

from collections.abc import Sequence

from stages.emotion.logic import builder
from stages.emotion.settings import EmotionSettings
from streams.aws import Clients
from streams.program import ProgramContext, StageDefinition
from streams.resources import STAGES
from streams.stage import Service


async def _services(settings: EmotionSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    return []


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "emotion"),
    settings=EmotionSettings,
    build=builder,
    services=_services,
)

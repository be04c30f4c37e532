"""The stage as a program."""

from collections.abc import Sequence

from stages.transcribe.logic import builder
from stages.transcribe.recogniser import TranscribeStreaming
from stages.transcribe.settings import TranscribeSettings
from streams.aws import Clients
from streams.program import ProgramContext, StageDefinition
from streams.resources import STAGES
from streams.stage import Service


async def _services(settings: TranscribeSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    return [TranscribeStreaming(settings.aws_region, settings.transcribe_endpoint_url)]


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "transcribe"),
    settings=TranscribeSettings,
    build=builder,
    services=_services,
)

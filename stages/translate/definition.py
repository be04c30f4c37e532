"""The stage as a program."""

from collections.abc import Sequence

from stages.translate.dynamics import DynamicsOfSpans
from stages.translate.listeners import Listeners
from stages.translate.logic import builder
from stages.translate.settings import TranslateSettings
from stages.translate.synthesizer import Synthesizer
from stages.translate.translator import Translator
from streams.aws import Clients
from streams.languages import ask_offers
from streams.program import ProgramContext, StageDefinition
from streams.resources import CONNECTIONS, STAGES
from streams.stage import Service


async def _services(settings: TranslateSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    translate, polly = await clients.get("translate"), await clients.get("polly")
    offers = await ask_offers(translate, polly)
    dynamics = DynamicsOfSpans(
        await clients.get("kinesis"),
        context.physical("emotions"),
        settings.emotion_cache_ttl_seconds * 1000,
        settings.emotion_wait_ms,
        context.log,
        context.metrics,
    )
    if settings.enable_emotion_detection == "true":
        dynamics.start()
    dynamodb = await clients.get("dynamodb")
    return [
        Listeners(dynamodb, context.physical(CONNECTIONS.name), settings.listeners_ttl_ms),
        dynamics,
        Translator(translate, offers, settings.translate_terminology),
        Synthesizer(polly, offers),
    ]


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "translate"),
    settings=TranslateSettings,
    build=builder,
    services=_services,
)

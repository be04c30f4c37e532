"""The stage as a program."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from stages.translate.dynamics import DynamicsOfSpans
from stages.translate.listeners import Listeners
from stages.translate.logic import builder
from stages.translate.settings import TranslateSettings
from stages.translate.synthesizer import Synthesizer
from stages.translate.translator import Translator
from streams.aws import Clients
from streams.errors import HeraldError
from streams.languages import Offer, ask_offers
from streams.policy import backoff_ms
from streams.program import ProgramContext, StageDefinition
from streams.resources import CONNECTIONS, STAGES
from streams.stage import Service
from streams.telemetry import Log


async def offers_of(translate: Any, polly: Any, log: Log) -> dict[str, Offer]:
    """What both services offer, asked until they answer: while they are away, there is nothing to be done with input.

    Raises HeraldError for what no retry mends.
    """
    failures = 0
    while True:
        try:
            return await ask_offers(translate, polly)
        except HeraldError as error:
            if not error.retryable:
                raise
            failures += 1
            log.warning("offers", "trying again", code=error.code, failures=failures)
            await asyncio.sleep(backoff_ms(failures, random.random) / 1000)


async def _services(settings: TranslateSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    translate, polly = await clients.get("translate"), await clients.get("polly")
    offers = await offers_of(translate, polly, context.log)
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

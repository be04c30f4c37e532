"""The stage as a program."""

from collections.abc import Sequence

from stages.broadcast.delivery import Delivery
from stages.broadcast.listeners import Listeners
from stages.broadcast.logic import builder
from stages.broadcast.settings import BroadcastSettings
from streams.aws import Clients
from streams.program import ProgramContext, StageDefinition
from streams.resources import CONNECTIONS, STAGES
from streams.stage import Service


async def _services(settings: BroadcastSettings, clients: Clients, context: ProgramContext) -> Sequence[Service]:
    dynamodb = await clients.get("dynamodb")
    listeners = Listeners(dynamodb, context.physical(CONNECTIONS.name), settings.listeners_ttl_ms)
    return [Delivery(await clients.get("apigatewaymanagementapi"), listeners, settings, context.log)]


DEFINITION = StageDefinition(
    spec=next(stage for stage in STAGES if stage.name == "broadcast"),
    settings=BroadcastSettings,
    build=builder,
    services=_services,
)

"""The parts put together: an engine, the service over it, TLS and HTTP/2 in front, the control plane beside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local.certificates import Certificates
from local.control import Calls, ControlPlane
from local.faults import Faults
from local.transcribe import http2
from local.transcribe.engine import Engine
from local.transcribe.service import Service
from local.transcribe.session import Limits


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the twin serves."""

    url: str
    control_url: str


@dataclass(frozen=True, slots=True)
class Options:
    """What a twin is started with; port 0 is any free one."""

    certificates: Certificates
    secrets: Mapping[str, str]
    port: int = 0
    control_port: int = 0
    seed: int = 0
    limits: Limits = field(default_factory=Limits)


@asynccontextmanager
async def serving(engine: Engine, options: Options) -> AsyncIterator[Serving]:
    """Serve on 127.0.0.1 until the context is left, which closes every stream. The engine is the caller's to close."""
    faults, calls = Faults(options.seed), Calls()
    service = Service(engine, options.secrets, options.limits, faults, calls)
    connections: set[http2.Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: http2.Connection(service.handle, connections),
        "127.0.0.1",
        options.port,
        ssl=_tls(options.certificates),
        backlog=1024,
    )
    try:
        runner, control_url = await ControlPlane(faults, calls).serve(options.control_port)
        try:
            yield Serving(f"https://localhost:{server.sockets[0].getsockname()[1]}", control_url)
        finally:
            await runner.cleanup()
    finally:
        server.close()
        await asyncio.gather(*(connection.close() for connection in list(connections)))


def _tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.set_alpn_protocols(["h2"])
    return context

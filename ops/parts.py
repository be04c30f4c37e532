"""The programs of a local stack, as data: what each is called, what it waits for, what it is told, what it gives.

    dynamodb, kinesis, transcribe-twin, translate-twin, polly-twin   at once
    provision                                                        when streams and tables have a home; it ends
    gateway, transcribe, emotion, translate, broadcast               when what they use is there

With proxies, `kinesis-proxy` and `dynamodb-proxy` stand between the two services and whoever uses them.

A part that serves gives its address to the environment of those that wait for it, and of `herald env`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from ops.children import Ready, program
from ops.errors import CommandError
from ops.paths import PROJECT, Paths
from streams.resources import STAGES

REGION: Final = "us-east-1"
PREFIX: Final = "herald"
ENGINES: Final = ("pocketsphinx", "tones")
READY_WITHIN_S: Final = 60.0
"""Loading a recogniser's model takes a second; on a busy machine many times that."""
STAGE_NAMES: Final = tuple(spec.name for spec in STAGES)
KCL_READY_WITHIN_S: Final = 150.0
"""A stage under the KCL reads after 8 to 10 s when the machine is its own; four daemons share it here."""
TONE_STREAMS: Final = 200
"""The service's own quota is 25 streams at once; a stream of tones takes 0.002 of a core."""
SPHINX_STREAMS_PER_CORE: Final = 6
"""Real time takes 0.1 to 0.2 of a core and 90 MB of memory a stream."""
SPHINX_LANGUAGE: Final = "en-US"
"""The one that PocketSphinx's own model hears."""


class Options(NamedTuple):
    """What `up` was asked for."""

    port: int = 8080
    engine: str = "pocketsphinx"
    shards: int = 1
    keep: bool = False
    runner: str = "embedded"
    proxies: bool = False


class Context(NamedTuple):
    """What a part may need to know. port: the one it served on before, 0 for any. turn: 1 or 2; of two processes of a
    stage, one of which takes over from the other, each has its own."""

    options: Options
    paths: Paths
    port: int
    turn: int = 1


class Part(NamedTuple):
    """One program.

    needs: parts that must be ready (or done) first. gives: the variable that gets its URL. gives_more: `name=value` of
    its ready line to variables. finishes: it is `done` when it has ended with 0. probe: a path to ask until it answers,
    for a program that is not ours and prints no `ready` line. environment: variables for it alone.
    """

    name: str
    command: Callable[[Context], list[str]]
    needs: tuple[str, ...] = ()
    gives: str | None = None
    gives_more: Mapping[str, str] = {}
    finishes: bool = False
    probe: str | None = None
    environment: Callable[[Context], dict[str, str]] = lambda _: {}

    def ready_within_s(self, options: Options) -> float:
        """How long it may take to be ready."""
        return KCL_READY_WITHIN_S if self.name in STAGE_NAMES and options.runner == "kcl" else READY_WITHIN_S


def _ministack(_: Context) -> list[str]:
    found = PROJECT / ".tools" / "ministack" / "bin" / "ministack"
    if not found.exists():
        raise CommandError(f"{found.relative_to(PROJECT)} is missing; run: make setup")
    return [str(found.with_name("python")), "-m", "ministack"]


def _ministack_environment(context: Context) -> dict[str, str]:
    keep = context.options.keep
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(context.port),
        "SERVICES": "dynamodb",
        "PERSIST_STATE": "1" if keep else "0",
        "STATE_DIR": str(context.paths.dynamodb),
        "LOG_LEVEL": "WARNING",
    }


def _twin(name: str, *arguments: Callable[[Context], list[str]]) -> Callable[[Context], list[str]]:
    def command(context: Context) -> list[str]:
        more = [word for argument in arguments for word in argument(context)]
        return program(f"local.{name}", "--port", str(context.port), *more)

    return command


def _recogniser(context: Context) -> list[str]:
    """The twin's quota of streams is what its engine has room for, so that it refuses nobody before it must."""
    if context.options.engine == "tones":
        room = ["--tones-max-streams", str(TONE_STREAMS)]
        streams = TONE_STREAMS
    else:
        workers = os.cpu_count() or 1
        room = ["--workers", str(workers), "--streams-per-worker", str(SPHINX_STREAMS_PER_CORE)]
        streams = workers * SPHINX_STREAMS_PER_CORE
    certificates = str(context.paths.keys)
    return [
        *("--engine", context.options.engine, "--certificates", certificates),
        *("--max-concurrent-streams", str(streams), *room),
    ]


def _gateway_environment(context: Context) -> dict[str, str]:
    own = {"POWERTOOLS_SERVICE_NAME": "gateway"}
    if context.options.engine == "pocketsphinx":
        own["SOURCE_LANGUAGES"] = SPHINX_LANGUAGE  # a session that nobody could hear is refused at the door
    return own


def _stage(name: str) -> Part:
    needs = {
        "transcribe": ("provision", "transcribe-twin"),
        "emotion": ("provision", "gateway"),
        "translate": ("provision", "translate-twin", "polly-twin"),
        "broadcast": ("provision", "gateway"),
    }
    return Part(
        name,
        lambda context: program(f"stages.{name}", "--runner", context.options.runner),
        needs[name],
        environment=lambda context: {
            "HERALD_WORKER_ID": f"{name}-{context.turn}",
            "POWERTOOLS_SERVICE_NAME": name,
        },
    )


PARTS: Final = (
    Part(
        "dynamodb",
        _ministack,
        gives="AWS_ENDPOINT_URL_DYNAMODB",
        probe="/_ministack/health",
        environment=_ministack_environment,
    ),
    Part("kinesis", _twin("kinesis", lambda c: ["--data", str(c.paths.kinesis)]), gives="AWS_ENDPOINT_URL_KINESIS"),
    Part(
        "transcribe-twin",
        _twin("transcribe", _recogniser),
        gives="TRANSCRIBE_ENDPOINT_URL",
        gives_more={"control": "HERALD_TRANSCRIBE_CONTROL_URL"},
    ),
    Part("translate-twin", _twin("translate"), gives="AWS_ENDPOINT_URL_TRANSLATE"),
    Part("polly-twin", _twin("polly"), gives="AWS_ENDPOINT_URL_POLLY"),
    Part(
        "provision",
        lambda c: program("local.provision", "--shards", str(c.options.shards)),
        ("dynamodb", "kinesis"),
        finishes=True,
    ),
    Part(
        "gateway",
        lambda c: program("local.gateway", "--port", str(c.options.port)),
        ("provision", "translate-twin", "polly-twin"),
        gives="AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI",
        environment=_gateway_environment,
    ),
    *(_stage(name) for name in STAGE_NAMES),
)
"""Every part, in an order in which each comes after those that it needs."""


BEHIND: Final = {"kinesis": "HERALD_KINESIS_URL", "dynamodb": "HERALD_DYNAMODB_URL"}
"""What may stand behind a proxy, and where its own address is then."""


def _proxy(behind: Part) -> Part:
    control = f"HERALD_{behind.name.upper()}_PROXY_CONTROL_URL"
    return Part(
        f"{behind.name}-proxy",
        _twin("proxy", lambda _: ["--upstream-variable", BEHIND[behind.name]]),
        (behind.name,),
        gives=behind.gives,
        gives_more={"control": control},
    )


def _with_proxies(found: Part) -> Iterator[Part]:
    needs = tuple(f"{name}-proxy" if name in BEHIND else name for name in found.needs)
    if found.name not in BEHIND:
        yield found._replace(needs=needs)
        return
    yield found._replace(gives=BEHIND[found.name])
    yield _proxy(found)


PROXIED: Final = tuple(part for found in PARTS for part in _with_proxies(found))


def parts(options: Options) -> tuple[Part, ...]:
    """The parts of such a stack, each after those that it needs."""
    return PROXIED if options.proxies else PARTS


def part(name: str, among: tuple[Part, ...] = PROXIED) -> Part:
    """The part called so. Raises CommandError, with the names that there are."""
    for found in among:
        if found.name == name:
            return found
    raise CommandError(f"there is no part {name!r}; there are: {', '.join(p.name for p in among)}")


def given(found: Part, ready: Ready) -> dict[str, str]:
    """What a part that is ready adds to the stack's environment."""
    variables = {found.gives: ready.url} if found.gives else {}
    return variables | {found.gives_more[name]: value for name, value in ready.more.items() if name in found.gives_more}


def base_environment(options: Options, paths: Paths, secret: str) -> dict[str, str]:
    """What `herald env` exports besides the parts' addresses. Credentials are good for this stack only."""
    gateway = f"http://127.0.0.1:{options.port}"
    return {
        "AWS_ACCESS_KEY_ID": "herald-local",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HERALD_DIR": str(paths.state),
        "HERALD_PREFIX": PREFIX,
        "TOKEN_ISSUER": f"{gateway}/",
        "TOKEN_AUDIENCE": "herald",
        "TOKEN_JWKS_URL": f"{gateway}/.well-known/jwks.json",
        "SSL_CERT_FILE": str(paths.keys / "ca.pem"),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def child_environment(inherited: Mapping[str, str], stack: Mapping[str, str]) -> dict[str, str]:
    """A part's environment: the user's own settings (a stage's thresholds, say), but no AWS account of theirs."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(("AWS_", "PYTHON"))}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"} | kept | dict(stack)

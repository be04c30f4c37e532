"""The pages of `web/`, as the local stack serves them: `/speak`, `/listen/{session}`, and their files under `/web/`.

`/web/config.json` says where the service is, and holds a fresh token for a speaker: the stack is its user's own. It is
given to pages of this server only. A page of somewhere else cannot read it (no CORS headers), nor can one whose name
was made to point here (the Host header must be this machine's).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from local.gateway.entrance import PATH

FOLDER: Final = Path(__file__).resolve().parents[2] / "web"
SUBJECT: Final = "local-speaker"
"""The one speaker of all pages, so that each may come back to what another one has begun."""
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


class Pages:
    """The pages of one gateway. token: signs one for a speaker; sources: what speakers may speak (row W23)."""

    def __init__(self, token: Callable[[], str], sources: Sequence[str], folder: Path = FOLDER) -> None:
        self._token = token
        self._sources = list(sources)
        self._folder = folder

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        app.router.add_get("/speak", self._speak)
        app.router.add_get("/listen/{session}", self._listen)
        app.router.add_get("/web/config.json", self._config)
        app.router.add_get("/web/{path:.+}", self._file)

    async def _speak(self, request: web.Request) -> web.Response:
        return self._page(request, "speak.html")

    async def _listen(self, request: web.Request) -> web.Response:
        return self._page(request, "listen.html")

    async def _config(self, request: web.Request) -> web.Response:
        host = _host(request)
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="This is for pages of this server only.\n")
        config = {
            "ws": f"ws://{host}{PATH}",
            "token": self._token(),
            "sourceLanguages": self._sources,
            "listenPath": "../listen/{session}",
        }
        return web.json_response(config, headers=_headers(host) | {"Cache-Control": "no-store"})

    async def _file(self, request: web.Request) -> web.Response:
        host = _host(request)
        try:
            path = (self._folder / request.match_info["path"]).resolve()
            found = path.is_relative_to(self._folder) and path.suffix in _TYPES and path.is_file()
        except (OSError, ValueError):  # no file can be called so
            found = False
        if not found:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return _response(host, path.read_bytes(), _TYPES[path.suffix])

    def _page(self, request: web.Request, name: str) -> web.Response:
        """The page, told where its files are: it is not among them here."""
        host = _host(request)
        text = (self._folder / name).read_text(encoding="utf-8")
        return _response(host, text.replace("<head>", '<head><base href="/web/">', 1).encode(), "text/html")


def _response(host: str, body: bytes, content_type: str) -> web.Response:
    headers = _headers(host) | {"Cache-Control": "no-cache"}
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)


def _host(request: web.Request) -> str:
    """The host that the client named. Raises HTTPMisdirectedRequest for one that is not this machine."""
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    if request.host not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        raise web.HTTPMisdirectedRequest(text=f"Open this page as 127.0.0.1:{port}.\n")
    return request.host


def _headers(host: str) -> dict[str, str]:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' ws://{host}; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    }

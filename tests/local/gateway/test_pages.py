"""The pages as the local stack serves them: to this machine only, with a policy that lets in nothing else."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from local.gateway.pages import FOLDER, SUBJECT, Pages
from local.issuer import Issuer
from tests.support.stack import Stack


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """Where the pages are, with a folder beside theirs that is nobody's business."""
    folder = tmp_path / "web"
    folder.mkdir()
    for name in ("speak.html", "listen.html"):
        (folder / name).write_text(f"<html><head><title>{name}</title>")
    (folder / "a.js").write_text("1")
    (folder / "notes.txt").write_text("none of ours")
    (tmp_path / "secret.js").write_text("secret")
    app = web.Application()
    Pages(
        lambda: Issuer(tmp_path / "keys", "http://issuer/", "herald").sign(SUBJECT, "speaker"), ["en-US"], folder
    ).add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def _get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize(("path", "page"), [("/speak", "speak.html"), ("/listen/golden-eagle-427", "listen.html")])
async def test_a_page_knows_where_its_files_are(port: int, path: str, page: str) -> None:
    status, headers, body = await _get(port, path)
    assert status == 200
    assert body.startswith(b'<html><head><base href="/web/">')
    assert page.encode() in body
    assert headers["content-type"] == "text/html; charset=utf-8"


async def test_every_answer_has_the_policy_and_none_is_for_other_origins(port: int) -> None:
    for path in ("/speak", "/listen/x", "/web/a.js", "/web/config.json"):
        status, headers, _ = await _get(port, path, Origin="http://elsewhere")
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert f"connect-src 'self' ws://127.0.0.1:{port};" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control")]


async def test_only_the_pages_own_files(port: int) -> None:
    assert (await _get(port, "/web/a.js"))[1]["content-type"] == "text/javascript; charset=utf-8"
    for path in ("/web/../secret.js", "/web/%2e%2e/secret.js", "/web/..%2fsecret.js", "/web/notes.txt", "/web/none.js"):
        assert (await _get(port, path))[0] == 404
    assert (await _get(port, "/web/"))[0] == 404
    for path in ("/web/%00.js", f"/web/{'a' * 300}.js", f"/web/{'a/' * 3000}x.js", "/web/%ff.js"):
        assert (await _get(port, path))[0] == 404


async def test_the_token_is_for_this_machine_and_for_its_own_pages(port: int) -> None:
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        status, headers, body = await _get(port, "/web/config.json", Host=host)
        found = json.loads(body)
        assert (status, found["ws"], found["sourceLanguages"]) == (200, f"ws://{host}/live", ["en-US"])
        assert headers["cache-control"] == "no-store"
        claims = jwt.decode(found["token"], options={"verify_signature": False})
        assert (claims["sub"], claims["role"]) == (SUBJECT, "speaker")
    for host in ("elsewhere.example", f"elsewhere.example:{port}", "127.0.0.1", f"127.0.0.1.example:{port}"):
        status, _, body = await _get(port, "/web/config.json", Host=host)
        assert status == 421
        assert b"token" not in body
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert (await _get(port, "/web/config.json", Sec_Fetch_Site=site))[0] == status


async def test_the_token_is_in_no_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        _, _, body = await _get(port, "/web/config.json")
    assert json.loads(body)["token"] not in caplog.text


def test_pages_need_nothing_from_elsewhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.*"))
    for name in ("speak.html", "listen.html"):
        assert "Content-Security-Policy" in (FOLDER / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?|wss?)://(?!www\.w3\.org/)[a-z0-9]", text)


async def test_the_stack_serves_them_and_lets_their_speaker_in(stack: Stack) -> None:
    """Row W1, with what the page is given."""
    port = int(stack.url.rpartition(":")[2])
    found: dict[str, Any] = json.loads((await _get(port, "/web/config.json"))[2])
    async with stack.speaker(token=found["token"], sourceLanguage=found["sourceLanguages"][0]) as speaker:
        assert speaker.session_id
        assert (await _get(port, f"/listen/{speaker.session_id}"))[0] == 200
    assert (await _get(port, "/web/speak.js"))[0] == 200
    assert found["token"] not in stack.log.read_text()

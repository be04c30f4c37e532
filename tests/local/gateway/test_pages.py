"""The pages as the local stack serves them: what they are told, and who may read it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from local.gateway.pages import Pages


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    Pages(lambda: "a-token", ["en-US"]).add_routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/speak", "/listen/golden-eagle-427"])
async def test_each_page_is_there_and_may_load_nothing_of_elsewhere(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(url + path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert '<base href="/web/">' in await answer.text()


async def test_the_configuration_is_for_pages_of_this_server_only(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/web/config.json") as answer:
            config = await answer.json()
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert config["ws"] == f"{url.replace('http', 'ws', 1)}/live"
        assert (config["token"], config["sourceLanguages"]) == ("a-token", ["en-US"])
        async with http.get(f"{url}/web/config.json", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
        async with http.get(f"{url}/web/config.json", headers={"Host": "elsewhere.test"}) as answer:
            assert answer.status == 421


@pytest.mark.parametrize("path", ["nothing.js", "..%2fpyproject.toml", "README.md"])
async def test_only_files_of_the_pages_are_served(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/web/{path}") as answer:
        assert answer.status == 404

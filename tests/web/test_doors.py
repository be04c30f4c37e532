"""At the door: who is not let in is told why and what to do; other hosts, other languages (rows W1, W19, W23)."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

from tests.web.browser import chromium
from tests.web.test_talk import talk

WEB = Path(__file__).resolve().parents[2] / "web"
ARABIC = "أهلا وسهلا بكم في هذا اللقاء"
CUT_LONG = "The speaker said something that is long enough to take more than one line on a small telephone."


async def test_who_is_not_let_in_reads_what_to_do(http: str, tmp_path: Path) -> None:
    """An unknown session, no session, a microphone that may not be used."""
    async with chromium(talk(tmp_path / "talk.wav", 1, 1)) as browser:
        listener = await browser.open(f"{http}/listen/nobody-there-100")
        await listener.shows("#problem", "There is no such session now")
        assert await listener.page.input_value("#name") == "nobody-there-100"
        await listener.check("listen-unknown")

        await listener.page.fill("#name", "")
        await listener.page.keyboard.press("Enter")
        await listener.shows("#problem", "Write the session's name")
        await listener.page.fill("#name", "Other Name 200")
        await listener.page.keyboard.press("Enter")
        await listener.page.wait_for_url("**/listen/other-name-200")

        speaker = await browser.open(f"{http}/speak")
        await speaker.page.click("#start")
        await speaker.shows("#problem", "The browser may not use the microphone.")
        await speaker.check("speak-denied")


async def test_the_pages_work_from_any_static_host(http: str) -> None:
    """With the service's address in the query, a token by hand, links to a file; without an address, a sentence."""
    token = (await asyncio.to_thread(_config, http))["token"]
    ws = http.replace("http", "ws", 1) + "/live"
    with _static_host() as elsewhere:
        async with chromium() as browser:
            lost = await browser.open(f"{elsewhere}/speak.html")
            await lost.shows("#problem", "This page does not know where the service is.")
            speaker = await browser.open(f"{elsewhere}/speak.html?ws={ws}", before=_OWN_SOUND)
            await speaker.page.click("#start")
            await speaker.shows("#problem", "A token is needed.")
            await speaker.page.fill("#token", "none")
            await speaker.page.click("#start")
            await speaker.shows("#problem", "The service did not let you in.")
            await speaker.page.fill("#token", token)
            await speaker.page.click("#start")
            await speaker.shows("#state", "On air")
            link = await speaker.page.input_value("#link")
            assert link.startswith(f"{elsewhere}/listen.html?session=")
            listener = await browser.open(link, locale="fr-FR")
            await speaker.shows("#languages", "Français")
            await listener.shows("#empty", "Captions appear here")


async def test_arabic_reads_from_right_to_left_and_partial_captions_do_not_jump(http: str) -> None:
    """The service here speaks no Arabic: its side is played."""

    def play(route: Any) -> None:
        state = {"isPaused": False, "isMuted": False, "volume": 1}
        joined = {"type": "sessionJoined", "sessionId": "s", "targetLanguage": "ar", "targetLanguages": ["ar", "en"]}
        route.send(json.dumps(joined | {"broadcastState": state}))
        base = {"type": "caption", "startMs": 0, "endMs": 9}
        arabic = {"utteranceId": "a", "language": "ar", "text": ARABIC}
        route.send(json.dumps(base | arabic | {"revision": 1, "committed": 10, "isFinal": False}))
        english = {"utteranceId": "b", "language": "en", "text": CUT_LONG, "startMs": 10}
        route.send(json.dumps(base | english | {"revision": 1, "committed": 30, "isFinal": False}))

    async with chromium() as browser:
        listener = await browser.open("about:blank", locale="ar-SA")
        await listener.page.route_web_socket("**/live?*", play)
        await listener.page.goto(f"{http}/listen/s")
        line = listener.page.locator("#lines .line").first
        await line.wait_for()
        assert (await line.get_attribute("dir"), await line.get_attribute("lang")) == ("rtl", "ar")
        box, frame = await line.locator("span").first.bounding_box(), await line.bounding_box()
        assert box
        assert frame
        assert box["x"] + box["width"] > frame["x"] + frame["width"] - 2
        assert await listener.text("#lines .line:last-child .tail") == CUT_LONG[30:].strip()
        assert "العربية" in await listener.text("#language")
        spoken = await listener.page.locator("#spoken p").all_text_contents()
        assert spoken == [ARABIC[:10].strip(), CUT_LONG[:30].strip()]
        for _ in range(4):
            if await listener.page.is_enabled("#larger"):
                await listener.page.click("#larger")
        await listener.check("listen-arabic")


_OWN_SOUND = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext();
  const sound = new OscillatorNode(context);
  const out = context.createMediaStreamDestination();
  sound.connect(out);
  sound.start();
  return out.stream;
};
"""
"""A host that nobody has heard of asks for the microphone: here it gets a tone, and nobody need be asked."""


def _config(http: str) -> Any:
    with urlopen(f"{http}/web/config.json", timeout=10) as answer:
        return json.load(answer)


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _static_host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(WEB)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

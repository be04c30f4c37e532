"""Chromium over the pages: a recording as its microphone, what sounds in a page, and what keeps people out of it.

async with chromium(recording) as browser:
    speaker = await browser.speaker(stack.http)
    listener = await browser.listener(link, locale="es-ES")
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
WITHIN_MS = 15_000
LOOK_EVERY_S = 0.05
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
SHOTS = os.environ.get("HERALD_SCREENSHOTS")
"""A directory for a picture of each state, at 1280 and at 360 px, for somebody to look at."""
SILENCE = ["echo", "noise", "gain"]
"""The browser's own processing, which a recording does without."""

TAP = """
window.heard = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode) {
    const { context } = this;
    context.audioWorklet.addModule(new URL("speaking/capture-worklet.js", document.baseURI)).then(() => {
      window.tap = new AudioWorkletNode(context, "herald-capture", { numberOfOutputs: 0, channelCount: 1 });
      window.tap.port.onmessage = ({ data }) => window.heard.push(data.pcm);
      connect.call(this, window.tap);
      window.silence = new ConstantSourceNode(context, { offset: 0 }); // so that a gap is heard as one
      connect.call(window.silence, window.tap);
      window.silence.start();
    });
  }
  return connect.call(this, to, ...more);
};
window.heardAsText = () => {
  const bytes = window.heard.flatMap((pcm) => [...new Uint8Array(pcm.buffer)]);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};
"""
"""Listens to what goes to the loudspeaker, in the page's own audio graph and on its audio thread. The worklet is the
speaker's, which the content policy allows: at 16 kHz it passes on what it hears, as PCM."""

Sound = NDArray[np.float32]


@dataclass
class Seen:
    """A page, and every message that it got."""

    page: Page
    messages: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message.get("type") == kind]

    async def text(self, selector: str) -> str:
        return (await self.page.locator(selector).inner_text()).strip()

    async def shows(self, selector: str, text: str, within_ms: float = WITHIN_MS) -> None:
        """Wait until there is such a text to be seen."""
        await self.page.locator(selector).filter(has_text=text, visible=True).first.wait_for(timeout=within_ms)

    async def until(self, condition: Callable[[], Awaitable[bool]], within_s: float = WITHIN_MS / 1000) -> None:
        """Wait until a condition holds. The pages' content policy forbids what Playwright would wait with."""
        async with asyncio.timeout(within_s):
            while not await condition():
                await asyncio.sleep(LOOK_EVERY_S)

    async def sound(self) -> Sound:
        """All that has sounded since sound was switched on, without a gap."""
        pcm = base64.b64decode(await self.page.evaluate("heardAsText()"))
        return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768

    async def check(self, name: str) -> None:
        """Nothing serious keeps anybody out, in light and in dark; and nothing scrolls sideways on a small phone."""
        size = self.page.viewport_size
        for scheme, rules in (("dark", ["color-contrast"]), ("light", None)):  # only colours differ
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await accessible(self.page, f"{name}, {scheme}", rules)
            if SHOTS:
                await self._shoot(name, scheme)
        await self.page.set_viewport_size({"width": 360, "height": 740})
        wide = await self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{name}: {wide}"
        if size:
            await self.page.set_viewport_size(size)

    async def _shoot(self, name: str, scheme: str) -> None:
        for width, height in ((1280, 800), (360, 740)):
            await self.page.set_viewport_size({"width": width, "height": height})
            await self.page.wait_for_timeout(150)
            path = Path(str(SHOTS)) / f"{name}-{scheme}-{width}.png"
            await self.page.screenshot(path=path, full_page=True)


async def accessible(page: Page, name: str, rules: list[str] | None = None) -> None:
    """Nothing serious or critical by axe-core's rules; by these only, if they are named."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = await page.evaluate("options => axe.run(document, options)", options)
    bad = [
        f"{violation['id']}: {[node['html'] for node in violation['nodes']]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert not bad, f"{name}: {bad}"


@dataclass
class Chromium:
    """errors: what went wrong in a page's script, or against its content policy."""

    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def open(self, url: str, *, locale: str = "en-US", before: str = "", microphone: bool = False) -> Seen:
        """A page in a context of its own. before: a script that runs before its own do."""
        context = await self.browser.new_context(
            locale=locale,
            viewport={"width": 1280, "height": 800},
            permissions=["microphone", "clipboard-write"] if microphone else [],
        )
        self.contexts.append(context)
        page = await context.new_page()
        seen = Seen(page)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        page.on("websocket", lambda socket: _follow(socket, seen))
        await page.add_init_script(TAP + before)
        await page.goto(url)
        return seen

    async def speaker(self, http: str) -> Seen:
        """A speaker's page, ready to start, without the browser's own processing of sound."""
        seen = await self.open(f"{http}/speak", microphone=True)
        for name in SILENCE:
            await seen.page.uncheck(f"#{name}")
        return seen

    def _note(self, message: Any) -> None:
        if message.type == "error" and "WebSocket" not in message.text and "Failed to load" not in message.text:
            self.errors.append(message.text)


def _follow(socket: Any, seen: Seen) -> None:
    def note(into: list[dict[str, Any]], payload: str | bytes) -> None:
        found = json.loads(payload)
        if isinstance(found, dict):
            into.append(found)

    socket.on("framereceived", lambda payload: note(seen.messages, payload))
    socket.on("framesent", lambda payload: note(seen.sent, payload))


@asynccontextmanager
async def chromium(recording: Path | None = None) -> AsyncIterator[Chromium]:
    """A browser. recording: a WAV that its microphone hears, once, from the moment that it is opened."""
    arguments = ["--disable-gpu", "--disable-quic", "--autoplay-policy=user-gesture-required"]
    if recording is not None:
        arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={recording}%noloop"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        found = Chromium(browser)
        try:
            yield found
            assert not found.errors
        finally:
            await browser.close()

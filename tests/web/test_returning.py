"""Coming back: after a reload, after a cut, and when the network stands still (rows W11 to W13)."""

import asyncio
import signal
from pathlib import Path

from tests.e2e.whole_stack import WholeStack
from tests.web.browser import chromium
from tests.web.test_talk import start, talk, until_words, words


async def test_a_cut_a_reload_and_a_network_that_stands_still(stack: WholeStack, http: str, tmp_path: Path) -> None:
    """A gateway killed without a word: both pages come back by themselves; no word is lost on its way in, none is shown
    twice."""
    async with chromium(talk(tmp_path / "talk.wav", 300, 40)) as browser:
        speaker, link = await start(browser, http)
        listener = await browser.open(link, locale="es-ES")
        await listener.page.click("#play")
        await until_words(listener, 1)

        stack.signal("gateway", signal.SIGKILL)
        await speaker.shows("#state", "Reconnecting…")
        await listener.shows("#notice", "The connection is lost")
        await asyncio.gather(speaker.check("speak-cut"), listener.check("listen-cut"))
        await asyncio.to_thread(stack.restart, "gateway")
        await speaker.shows("#state", "On air")
        await listener.page.locator("#notice").wait_for(state="hidden")
        assert speaker.of("sessionResumed")
        after = await until_words(listener, len(await words(listener)) + 1)
        assert after == sorted(set(after))  # none twice
        sent = {message["sequence"] for message in speaker.sent if message.get("action") == "sendAudio"}
        taken = {message["sequence"] for message in speaker.of("audioReceived")}
        assert sent == set(range(max(sent) + 1))
        assert set(range(max(sent) - 50)) <= taken  # all that was said while it was away, too

        await listener.page.context.set_offline(True)
        await listener.shows("#notice", "The connection is lost")
        await listener.page.context.set_offline(False)
        await listener.page.locator("#notice").wait_for(state="hidden")

        session = await speaker.text("#session")
        await speaker.page.reload()
        await speaker.shows("#state", "Microphone is off")
        assert await speaker.text("#session") == session
        await speaker.check("speak-reloaded")
        count = len(await words(listener))
        await speaker.page.click("#continue")
        await speaker.shows("#state", "On air")
        again = await until_words(listener, count + 1)
        assert again[count] >= 300  # its recording begins anew, and so do its numbers; the session is the same
        assert speaker.of("sessionResumed")
        assert await listener.text("#session") == session

"""A talk on three pages: a speaker, and two listeners in two languages (rows W1 to W10, W14, W16, B3)."""

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import numpy as np

from local import tones
from ops.audio_files import wav
from tests.web.browser import Chromium, Seen, Sound, chromium
from tests.web.test_modules import read_code

PERIOD_S = 2.0
"""A word's speech takes 1.7 s, or 2.5 s in Spanish: a listener falls behind a little, as with a fast speaker."""
RATE_HZ = 16_000
FADE = 100
"""Samples at both ends of a clause that are softened, and a few more."""


def talk(path: Path, first: int, words: int) -> Path:
    """A recording of numbered words, an utterance each, PERIOD_S apart; it begins with a second of silence."""
    pause_ms = round(PERIOD_S * 1000) - tones.WORD_MS
    sound = tones.Script([[first + n] for n in range(words)], pauses_ms=(pause_ms,)).render()
    path.write_bytes(wav(np.concatenate([np.zeros(RATE_HZ, np.int16), np.asarray(sound)])))
    return path


async def words(listener: Seen) -> list[int]:
    """The words on the page, in order."""
    return tones.numbers_in((await listener.text("#lines")).lower())


async def until_words(listener: Seen, count: int) -> list[int]:
    """Wait until so many words are on the page."""

    async def are_there() -> bool:
        return len(await words(listener)) >= count

    await listener.until(are_there)
    return await words(listener)


def clauses(listener: Seen, language: str) -> list[Sound]:
    """The sound of each clause that came whole."""
    found: dict[int, dict[int, Any]] = {}
    for message in listener.of("translatedAudio"):
        if message["language"] == language:
            found.setdefault(message["sequence"], {})[message["part"]] = message
    whole = [parts for parts in found.values() if len(parts) == parts[min(parts)]["parts"]]
    return [
        np.concatenate([np.frombuffer(base64.b64decode(parts[n]["audioData"]), "<i2") for n in sorted(parts)]) / 32768
        for parts in whole
    ]


def place(clause: Sound, heard: Sound, after: int) -> int | None:
    """Where a clause sounds, to the sample and without a gap in it; None if it does not."""
    needle = clause[FADE:-FADE]
    loud = int(np.argmax(np.abs(needle)))
    for at in np.flatnonzero(np.abs(heard[after + loud : len(heard) - len(needle) + loud] - needle[loud]) < 1e-4):
        start = after + int(at)
        if np.allclose(heard[start : start + len(needle)], needle, atol=1e-4):
            return start - FADE
    return None


async def start(browser: Chromium, http: str) -> tuple[Seen, str]:
    """A speaker on air, and the link for listeners."""
    speaker = await browser.speaker(http)
    await speaker.page.click("#start")
    await speaker.shows("#state", "On air")
    return speaker, await speaker.page.input_value("#link")


async def test_a_speaker_and_two_listeners(http: str, tmp_path: Path) -> None:
    """Everything that happens in a talk, on the pages' own buttons; each state by axe, in light and dark, at 360 px."""
    async with chromium(talk(tmp_path / "talk.wav", 100, 30)) as browser:
        speaker = await browser.speaker(http)
        await speaker.check("speak-signin")
        await speaker.page.click("#start")
        await speaker.shows("#state", "On air")
        link = await speaker.page.input_value("#link")
        assert read_code(await _code(speaker)) == (link, "M")

        spanish, catalan = await asyncio.gather(browser.open(link, locale="es-MX"), browser.open(link, locale="ca-ES"))
        await speaker.shows("#languages", "Español (Spanish)")
        await speaker.shows("#languages", "Català (Catalan)")
        assert await speaker.text("#count") == "2"
        await asyncio.gather(*(page.page.click("#play") for page in (spanish, catalan)))
        await asyncio.gather(speaker.check("speak-live"), spanish.check("listen-live"))
        first = await until_words(spanish, 2)
        await until_words(catalan, 2)
        assert (await spanish.page.get_attribute("#lines .line", "lang")) == "es"
        level = await speaker.page.get_attribute("#meter", "aria-valuenow")
        assert level is not None
        assert -60 <= int(level) <= 0

        await speaker.page.click("#mute")
        await spanish.shows("#notice", "The speaker is muted.")
        await asyncio.sleep(PERIOD_S)  # what was said before is on its way
        before, its_before = await words(spanish), await words(catalan)
        checks = (speaker.check("speak-muted"), catalan.check("listen-muted"))
        await asyncio.gather(asyncio.sleep(2 * PERIOD_S), *checks)
        assert (await words(spanish), await words(catalan)) == (before, its_before)  # row A7
        await speaker.page.click("#mute")
        await spanish.page.locator("#notice").wait_for(state="hidden")
        after = await until_words(spanish, len(before) + 1)
        assert after[len(before)] >= before[-1] + 2

        await speaker.page.focus("#volume")
        for _ in range(12):
            await speaker.page.keyboard.press("ArrowLeft")
        await spanish.shows("#sound-text", "The speaker has set the volume to 40 %.")
        loud = clauses(spanish, "es")[0]
        await catalan.page.select_option("#language", "fr")
        await speaker.shows("#languages", "Français (French)")
        await catalan.page.locator("#lines .line[lang=fr]").last.wait_for()

        await speaker.page.click("#pause")
        await catalan.shows("#notice", "The speaker has paused the talk.")
        await speaker.shows("#state", "Paused")
        await speaker.page.click("#pause")
        await catalan.page.locator("#notice").wait_for(state="hidden")
        await until_words(spanish, len(await words(spanish)) + 1)

        async def is_quieter() -> bool:
            """Row B3: the service scales it; what was on its way had the volume of its moment."""
            return any(abs(np.abs(clause).max() / np.abs(loud).max() - 0.4) < 0.05 for clause in clauses(spanish, "es"))

        await spanish.until(is_quieter)

        await spanish.page.click("#play")
        await spanish.shows("#sound-text", "Sound is off")
        assert spanish.sent[-1]["action"] == "pausePlayback"  # row W8
        paused_at = len(await spanish.sound())
        await until_words(spanish, len(await words(spanish)) + 1)
        heard = await spanish.sound()
        assert np.abs(heard[paused_at + RATE_HZ :]).max(initial=0.0) < 1e-3

        await speaker.page.click("#end")
        await speaker.shows("#confirm", "End the session for everyone?")
        await speaker.check("speak-confirm")
        await speaker.page.click("#really")
        await speaker.shows("#ended", "The session has ended")
        for listener in (spanish, catalan):
            await listener.shows("#notice", "The session has ended")
        await asyncio.gather(speaker.check("speak-ended"), spanish.check("listen-ended"))

        shown = await words(spanish)
        assert shown[: len(first)] == first
        assert shown == sorted(set(shown))
        _assert_heard(spanish, heard, "es")
        assert clauses(catalan, "fr")
        assert [message["sequence"] for message in speaker.sent if message.get("action") == "sendAudio"][:5] == [
            0,
            1,
            2,
            3,
            4,
        ]


def _assert_heard(listener: Seen, heard: Sound, language: str) -> None:
    """From the first to the last that sounded whole, every clause did, in order, to the sample: no click, no gap."""
    at, places = 0, []
    for number, clause in enumerate(clauses(listener, language)):
        found = place(clause, heard, at)
        if found is not None:
            places.append(number)
            at = found + len(clause) - FADE
    assert len(places) >= 3
    assert places == list(range(places[0], places[-1] + 1))
    assert np.abs(heard).max() > 0.1


async def _code(speaker: Seen) -> Any:
    box = await speaker.page.get_attribute("#qr svg", "viewBox")
    path = await speaker.page.get_attribute("#qr path", "d")
    assert box
    assert path
    side = int(box.split()[2])
    dark = np.zeros((side, side), np.uint8)
    for x, y in re.findall(r"M(\d+) (\d+)", path):
        dark[int(y), int(x)] = 1
    return dark

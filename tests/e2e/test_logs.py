"""What a whole run logs holds no audio, token, connection id or transcript (row X2)."""

import asyncio
import base64
from pathlib import Path

import aiohttp
import boto3
import pytest

from local import tones
from ops import tokens
from ops.audio_files import Pcm, read
from ops.listener import Listener
from ops.speaker import Speaker
from tests.e2e.whole_stack import WholeStack, described, tone_talk
from tests.support.wer import RECORDINGS


def connection_ids(stack: WholeStack) -> list[str]:
    environment = stack.environment
    table = boto3.resource(
        "dynamodb",
        endpoint_url=environment["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    ).Table("herald-Connections")
    return [str(row["connectionId"]) for row in table.scan()["Items"]]


@pytest.mark.parametrize("engine", ["tone_stack", "speech_stack"])
async def test_the_logs_of_a_run_with_a_fault_hold_no_secret(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole: WholeStack = request.getfixturevalue(engine)
    talk = RECORDINGS / "austen-0890.wav"
    words = ["cold hearted", "rather selfish"]
    if engine == "tone_stack":
        talk = tmp_path / "talk.wav"
        words = [tones.text_of(number) for number in tone_talk(talk, 8000, 3)]
    pcm = read(talk).pcm
    stack = described(whole)
    token = await asyncio.to_thread(tokens.token, stack, "a-user-of-ours")
    async with aiohttp.ClientSession() as session, await Speaker.create(session, stack.url, token) as speaker:
        listener = await Listener.join(session, stack.url, speaker.session_id, "es", lambda: None)
        async with listener:
            ids = await asyncio.to_thread(connection_ids, whole)
            speaking = asyncio.create_task(speaker.speak(pcm))
            whole.kill("translate")
            await asyncio.to_thread(whole.restart, "translate")
            await speaking
            await speaker.answers()
            await speaker.end()
            await listener.ended.wait()
    assert listener.ear.heard
    assert len(ids) >= 2

    logs = [*(whole.folder / "state" / "logs").glob("*.log"), whole.folder / "up.log"]
    assert len(logs) >= 10
    secrets = [token, token.rpartition(".")[2], "a-user-of-ours", *ids, *words, *excerpts(pcm)]
    secrets += [clause.text for clause in listener.ear.heard]
    secrets.append(whole.environment["AWS_SECRET_ACCESS_KEY"])
    for log in logs:
        text = log.read_text(errors="replace").lower()
        found = [number for number, secret in enumerate(secrets) if secret.lower() in text]
        assert not found, f"{log.name} holds {len(found)} secrets (the first: number {found[0]})"


def excerpts(pcm: Pcm) -> list[str]:
    """Sound from all over the talk, as hex, and as base64 has it from each place where a group of three may begin."""
    found = []
    for start in range(4_800, len(pcm) - 1_600, 8_000):
        sound = pcm[start : start + 40].astype("<i2").tobytes()
        if len(set(sound)) > 20:  # silence is everywhere
            found += [base64.b64encode(sound[shift:]).decode()[:40] for shift in range(3)]
            found.append(sound.hex())
    assert len(found) >= 8
    return found

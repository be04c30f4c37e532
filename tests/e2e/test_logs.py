"""What a whole run logs holds no audio, token, connection id or transcript (row X2)."""

import base64
from pathlib import Path

import aiohttp
import boto3

from local import tones
from ops import tokens
from ops.audio_files import read
from ops.listener import Listener
from ops.speaker import Speaker
from tests.e2e.test_rubbish import described
from tests.e2e.whole_stack import WholeStack, tone_talk


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


async def test_the_logs_of_a_run_hold_no_secret(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 8000, 2)
    pcm = read(tmp_path / "talk.wav").pcm
    stack = described(tone_stack)
    token = tokens.token(stack, "a-user-of-ours")
    async with aiohttp.ClientSession() as session, await Speaker.create(session, stack.url, token) as speaker:
        listener = await Listener.join(session, stack.url, speaker.session_id, "es", lambda: None)
        async with listener:
            ids = connection_ids(tone_stack)
            await speaker.speak(pcm)
            await speaker.answers()
            await speaker.end()
            await listener.ended.wait()
    assert listener.ear.heard
    assert len(ids) >= 2

    logs = [*(tone_stack.folder / "state" / "logs").glob("*.log"), tone_stack.folder / "up.log"]
    assert len(logs) >= 10
    chunk = base64.b64encode(pcm[8000:8600].astype("<i2").tobytes()).decode()
    secrets = [token, token.rpartition(".")[2], "a-user-of-ours", chunk[4:60], *ids]
    secrets += [tones.text_of(number) for number in said] + [clause.text for clause in listener.ear.heard]
    secrets.append(tone_stack.environment["AWS_SECRET_ACCESS_KEY"])
    for log in logs:
        text = log.read_text(errors="replace").lower()
        found = [number for number, secret in enumerate(secrets) if secret.lower() in text]
        assert not found, f"{log.name} holds {len(found)} secrets (the first: number {found[0]})"

"""The world of the pipeline: the real stages, each with its workers, streams and services."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any

from local.kinesis.model import Shard
from stages.broadcast import delivery
from stages.broadcast import listeners as broadcast_listeners
from stages.broadcast import logic as broadcast
from stages.broadcast.settings import BroadcastSettings
from stages.transcribe import feeding
from stages.transcribe import logic as transcribe
from stages.transcribe.audio import SAMPLES_PER_MS
from stages.transcribe.settings import TranscribeSettings
from stages.translate import lane, translator
from stages.translate import listeners as translate_listeners
from stages.translate import logic as translate
from stages.translate.settings import TranslateSettings
from stages.translate.synthesizer import Synthesizer
from streams.records import AudioChunk, Record, SessionEvent, encode
from streams.stage import Service, StageBuilder
from tests.simulation.engines import OFFERS, Ears, Engines, Recogniser, SimulatedDynamics
from tests.simulation.fleet import Fleet, StagePlace
from tests.simulation.ground import Diary, Ground, Outcome, simulated
from tests.simulation.kinesis import Kept
from tests.simulation.loop import START_S, Process, SimulatedLoop
from tests.simulation.network import FINE, Network
from tests.simulation.phones import Phones
from tests.simulation.pipeline_checks import Books
from tests.simulation.pipeline_plan import CHUNK_MS, PipelinePlan, Send, Speaker, make_plan
from tests.simulation.plan import Event
from tests.simulation.world import play
from tests.stages.transcribe.simulated import SimulatedRecogniser

PLACES = (
    StagePlace("transcribe", "audio", "transcripts"),
    StagePlace("translate", "transcripts", "speech"),
    StagePlace("broadcast", "speech", "receipts"),
)
LONGEST_DEAF_S = 5.0
QUICKER = (
    (feeding, "BLOCK_SAMPLES", CHUNK_MS * SAMPLES_PER_MS),
    (feeding, "END_WAIT_MS", 6_000),
    (feeding, "SILENT_STREAM_MS", 5_000),
)
"""Fewer and larger steps, so that a schedule is short."""


class PipelineCourse:
    """A `Course`."""

    def __init__(self, plan: PipelinePlan, ground: Ground) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed + 6)
        self.ground = ground
        self.events = plan.events
        self.check_idle = plan.idle_ms < 10_000
        self.workers = plan.workers
        equips = (self._equip_transcribe, self._equip_translate, self._equip_broadcast)
        self.fleets = {place.name: Fleet(ground, place, equip) for place, equip in zip(PLACES, equips, strict=True)}
        recognisers = {
            one.session_id: SimulatedRecogniser(one.talk, one.habits, plan.seed + n)
            for n, one in enumerate(plan.speakers)
        }
        self._ears = Ears(ground, recognisers, random.Random(plan.seed + 7))
        self._to_engines = Network(ground.loop, random.Random(plan.seed + 8))
        self._to_phones = Network(ground.loop, random.Random(plan.seed + 9))
        self._engines = Engines(self._to_engines, plan.refused_language)
        self._dynamics = SimulatedDynamics(random.Random(plan.seed + 10))
        self._phones = Phones(ground, self._to_phones)
        self.books = Books(plan, ground, self._phones)
        for name, shards in plan.shards.items():
            ground.kinesis.create(name, shards)
        for speaker in plan.speakers:
            for language in speaker.listeners:
                self._phones.join(speaker.session_id, language)
        ground.kinesis.on_put = self._on_put
        ground.tables.on_write = self._on_write

    def _on_put(self, stream: str, shard: Shard, kept: Kept) -> None:
        self.books.put(stream, shard, kept)

    def _on_write(self, table: str, row: dict[str, Any]) -> None:
        if self.ground.is_watched:
            self.ground.note(
                f"{table}: { {name: value for name, value in row.items() if name not in ('data', 'state')} }"
            )
        self.books.stored(table, row)

    # --- the stages ----------------------------------------------------------------------------------------------

    def _equip_transcribe(self, process: Process, release: int) -> tuple[StageBuilder, Sequence[Service]]:
        settings = TranscribeSettings(recogniser_rollover_s=self._plan.rollover_s)
        return transcribe.builder(settings), [Recogniser(self._ears)]

    def _equip_translate(self, process: Process, release: int) -> tuple[StageBuilder, Sequence[Service]]:
        settings = TranslateSettings()
        listeners = translate_listeners.Listeners(self.ground.tables, "Connections", settings.listeners_ttl_ms)
        services = [
            listeners, self._dynamics, translator.Translator(self._engines, OFFERS), Synthesizer(self._engines, OFFERS),
        ]  # fmt: skip
        return translate.builder(settings), services

    def _equip_broadcast(self, process: Process, release: int) -> tuple[StageBuilder, Sequence[Service]]:
        settings = BroadcastSettings()
        listeners = broadcast_listeners.Listeners(self.ground.tables, "Connections", settings.listeners_ttl_ms)
        return broadcast.builder(settings), [delivery.Delivery(self._phones, listeners, settings, self.ground.log)]

    # --- the speakers --------------------------------------------------------------------------------------------

    async def produce(self) -> None:
        await asyncio.gather(*[self._speak(speaker) for speaker in self._plan.speakers])

    async def _speak(self, speaker: Speaker) -> None:
        self._put_event(speaker, "created", speaker.starts_s)
        for send in speaker.sends:
            await asyncio.sleep(max(0.0, send.at_s - self.ground.loop.time()))
            self.ground.kinesis.put("audio", speaker.session_id, encode(_chunk(speaker, send)))
        await asyncio.sleep(max(0.0, speaker.ended_s - self.ground.loop.time()))
        self._put_event(speaker, "ended", speaker.ended_s)

    def _put_event(self, speaker: Speaker, event: Any, at_s: float) -> None:
        record: Record = SessionEvent(
            session_id=speaker.session_id,
            event=event,
            timestamp=int((START_S + at_s) * 1000),
            source_language="en-US" if event == "created" else "",
        )
        self.ground.kinesis.put("audio", speaker.session_id, encode(record))

    # --- what goes wrong -----------------------------------------------------------------------------------------

    def do(self, event: Event) -> Coroutine[Any, Any, None] | None:
        match event.deed:
            case "recogniser breaks":
                for recogniser in self._ears.by_session.values():
                    recogniser.break_all()
                return None
            case "recogniser is deaf" | "recogniser is late" | "recogniser refuses":
                return self._ears_fail(event)
            case "recogniser hangs":
                return self._ears_hang(event)
            case "engines":
                return self._trouble(self._to_engines, event)
            case "phones":
                return self._trouble(self._to_phones, event)
            case "dynamics":
                return self._dynamics_fail(event)
            case "join listening":
                speaker = self._plan.speakers[int(event.size * len(self._plan.speakers))]
                self._phones.join(speaker.session_id, ("de", "es")[event.lasts_s > 1.0])
                return None
            case "leave":
                return self._leave(event)
        raise AssertionError(event)

    async def _ears_fail(self, event: Event) -> None:
        for recogniser in self._ears.by_session.values():
            habits = recogniser.habits
            match event.deed:
                case "recogniser is deaf":
                    habits.deaf = True
                case "recogniser is late":
                    habits.answer_ms = (1_000, 3_000)
                case _:
                    habits.down = True
        self._ears.limited = event.size if event.deed == "recogniser refuses" else 0.0
        await asyncio.sleep(min(event.lasts_s, LONGEST_DEAF_S))
        self._ears.limited = 0.0
        for recogniser in self._ears.by_session.values():
            recogniser.habits.deaf = recogniser.habits.down = False
            recogniser.habits.answer_ms = (20, 100)

    async def _ears_hang(self, event: Event) -> None:
        self._ears.hanging = 0.5
        await asyncio.sleep(event.lasts_s)
        self._ears.hanging = 0.0

    async def _dynamics_fail(self, event: Event) -> None:
        self._dynamics.failing = 0.2 + event.size
        await asyncio.sleep(event.lasts_s)
        self._dynamics.failing = 0.0

    async def _trouble(self, network: Network, event: Event) -> None:
        network.trouble = event.trouble._replace(slow=max(event.trouble.slow, event.size / 2))
        await asyncio.sleep(event.lasts_s)
        network.trouble = FINE

    async def _leave(self, event: Event) -> None:
        """Somebody who came for this goes again: its connection is gone, its row not yet."""
        speaker = self._plan.speakers[int(event.size * len(self._plan.speakers))]
        phone = self._phones.join(speaker.session_id, "es")
        await asyncio.sleep(event.lasts_s)
        phone.left = True

    # --- in the end ----------------------------------------------------------------------------------------------

    def unsettled(self) -> list[str]:
        return self.books.unsettled()

    def check_end(self) -> None:
        for network in (self._to_engines, self._to_phones):
            self.ground.faults.update(network.faults)
        self.books.check_end()

    def repeats(self) -> int:
        return self.books.repeats + sum(phone.ear.repeats for phone in self._phones.phones.values())


def _chunk(speaker: Speaker, send: Send) -> AudioChunk:
    began_ms = int((START_S + speaker.starts_s) * 1000)
    return AudioChunk(
        session_id=speaker.session_id,
        connection="c",
        admitted_at_ms=began_ms + send.start_ms + CHUNK_MS,
        captured_at_ms=began_ms + send.start_ms,
        sequence=send.sequence,
        pcm=speaker.talk.pcm(send.start_ms, send.start_ms + CHUNK_MS),
    )


def run_seed(seed: int, diary: Diary | None = None) -> Outcome:
    """Run one schedule."""
    return run_plan(make_plan(seed), diary)


def run_plan(plan: PipelinePlan, diary: Diary | None = None) -> Outcome:
    """Run a schedule."""
    ground = Ground(plan.seed, SimulatedLoop(plan.seed), diary)
    further = (*QUICKER, (lane, "PART_BYTES", plan.part_bytes))
    return play(PipelineCourse(plan, ground), simulated(ground, plan.idle_ms, plan.snapshot_every_ms, further))

"""The pipeline's books: each word of each talk, from the microphone to each listener, and whatever is said of it.

A word is followed by its index in the talk. What a language lacks must be in the dead letters of translate; what a
listener lacks, in a receipt or in the dead letters of broadcast.
"""

from collections import defaultdict
from typing import Any

from local.kinesis.model import Shard
from stages.translate.horizon import Horizon
from streams.driver import MAX_HELD_BYTES
from streams.errors import BadRecord
from streams.records import AudioChunk, Receipt, SessionEvent, SpeechPart, Transcript, Word, decode
from streams.stage import Position
from tests.simulation.checks import Coverage
from tests.simulation.engines import in_language, words_of
from tests.simulation.ground import Ground
from tests.simulation.kinesis import Kept
from tests.simulation.phones import Phone, Phones
from tests.simulation.pipeline_plan import CHUNK_MS, PipelinePlan, Speaker

NEAR_MS = 100
"""How far from its place in the talk a word may be heard."""
JOINED_S = 1.0
"""After so long a listener who joined hears all."""
INPUTS = {"transcribe": "audio", "translate": "transcripts", "broadcast": "speech"}

Clause = tuple[str, int]


class _Spoken:
    """A session in one language, as it is on the speech stream. at: the index of the word that is next."""

    def __init__(self) -> None:
        self.at = 0
        self.skipped: set[int] = set()
        self.clauses: dict[Clause, tuple[float, list[str]]] = {}  # when it was whole, and its words
        self.parts: dict[tuple[str, int, int], list[SpeechPart]] = defaultdict(list)  # by clause, and length


class _Input:
    """A record on a stage's input. needs: what must be out before it counts as done."""

    def __init__(self, position: Position, needs: Any) -> None:
        self.position = position
        self.needs = needs


class _Session:
    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.words = speaker.talk.words
        self.horizon = Horizon()
        self.accepted = 0
        self.refused: set[int] = set()  # words in the dead letters of translate
        self.undelivered: set[tuple[Clause, str]] = set()
        self.receipts: dict[tuple[Clause, str], int] = {}  # listeners who lack something of it
        self.languages: dict[str, _Spoken] = defaultdict(_Spoken)
        self.ends: set[str] = set()  # streams on which the session's end is
        self.inputs: dict[str, list[_Input]] = {stage: [] for stage in INPUTS}
        self.checked = dict.fromkeys(INPUTS, 0)


class Books:
    """See the module."""

    def __init__(self, plan: PipelinePlan, ground: Ground, phones: Phones) -> None:
        self._ground = ground
        self._phones = phones
        self._sessions = {speaker.session_id: _Session(speaker) for speaker in plan.speakers}
        self._by_shard: dict[tuple[str, str], list[tuple[int, _Session, _Input]]] = defaultdict(list)
        self._checked: dict[tuple[str, str], int] = defaultdict(int)
        self._coverage = {stage: Coverage(ground.breach) for stage in INPUTS}
        self.repeats = 0

    # --- what happens --------------------------------------------------------------------------------------------

    def put(self, stream: str, shard: Shard, kept: Kept) -> None:
        """A record is in a stream."""
        record = decode(kept.data)
        session = self._sessions[record.session_id]
        position = Position(shard.shard_id, int(kept.sequence))
        if self._ground.is_watched:
            self._ground.note(f"{stream} {shard.shard_id[-2:]} < {_brief(record)}")
        if record.session_id != kept.key:
            self._ground.breach(f"{record.session_id} under the key {kept.key}")
        needs: Any = None
        match record:
            case AudioChunk(sequence=int(sequence)):
                ends_ms = (sequence + 1) * CHUNK_MS
                needs = sum(word.end_ms <= ends_ms for word in session.words)
                self._check_memory()
            case SessionEvent(event="ended"):
                session.ends.add(stream)
            case Transcript(status="clause"):
                self._transcribed(session, record)
                needs = session.accepted
            case SpeechPart():
                needs = self._spoken(session, record)
            case Receipt():
                self._received(session, record)
        self._keep(stream, session, position, needs)

    def _keep(self, stream: str, session: _Session, position: Position, needs: Any) -> None:
        for stage, name in INPUTS.items():
            if name == stream:
                one = _Input(position, needs)
                session.inputs[stage].append(one)
                self._coverage[stage].sent(session.speaker.session_id, position)
                self._by_shard[stage, position.shard_id].append((position.sequence, session, one))

    def _transcribed(self, session: _Session, clause: Transcript) -> None:
        new = session.horizon.new_words(clause.words)
        session.horizon.commit(new)
        if len(new) < len(clause.words):
            self.repeats += 1
        for heard in new:
            if session.accepted >= len(session.words) or not _is_at(heard, session.words[session.accepted]):
                wanted = session.words[session.accepted : session.accepted + 1]
                self._ground.breach(f"{session.speaker.session_id}: transcribed {heard}, not {wanted}")
                return
            session.accepted += 1

    def _spoken(self, session: _Session, part: SpeechPart) -> Any:
        """Two owners may begin a clause with different dynamics: what counts is the version that is whole first."""
        spoken = session.languages[part.language]
        key = (part.utterance_id, part.clause)
        parts = spoken.parts[*key, part.total_bytes]
        if key in spoken.clauses or part.part < len(parts):
            self.repeats += 1
            return None
        name = f"{session.speaker.session_id} {part.language} clause {key} part {part.part} of {part.parts}"
        if part.part > len(parts):
            self._ground.breach(f"{name}: {len(parts)} parts of it are there")
            return None
        parts.append(part)
        if len(parts) < part.parts:
            return None
        said = words_of(b"".join(one.pcm for one in parts))
        spoken.clauses[key] = (self._ground.loop.time(), said)
        if getattr(part, "skipped_by", ""):  # left out as too late, and said to be (row S8)
            said = part.text.split()
        for word in said:
            at = _find(session.words, spoken.at, word, part.language)
            if at is None:
                self._ground.breach(f"{name}: says {word!r} after word {spoken.at - 1}")
                return None
            spoken.skipped |= set(range(spoken.at, at))
            spoken.at = at + 1
        return (key, part.language)

    def _received(self, session: _Session, receipt: Receipt) -> None:
        if receipt.of == "event":
            if ":ended:" in receipt.utterance_id:
                session.ends.add("receipts")
        elif receipt.of == "speech":
            key = ((receipt.utterance_id, receipt.clause), receipt.language)
            lacking = receipt.failed + receipt.dropped + receipt.gone
            session.receipts[key] = max(session.receipts.get(key, 0), lacking)

    def stored(self, table: str, row: dict[str, Any]) -> None:
        """A row was written."""
        if table == "DeadLetters":
            self._note_letter(row)
        elif table == "Snapshots" and "state" in row:
            stage, _, session_id = row["key"]["S"].partition("#")
            upto = Position(row["shard"]["S"], int(row["sequence"]["S"]))
            self._check_snapshot(stage, self._sessions[session_id], upto)
            self._coverage[stage].snapshot(session_id, upto)
        elif table.startswith("leases-") and row["checkpoint"]["S"].isdigit():
            stage, shard_id, sequence = table.partition("-")[2], row["leaseKey"]["S"], int(row["checkpoint"]["S"])
            self._check_checkpoint(stage, shard_id, sequence)
            self._coverage[stage].checkpoint(shard_id, sequence)

    def _note_letter(self, row: dict[str, Any]) -> None:
        try:
            record = decode(row["data"]["B"])
        except BadRecord:
            self._ground.breach(f"a record of {row['stage']['S']} cannot be read")
            return
        session = self._sessions[record.session_id]
        match record:
            case Transcript():
                session.refused |= {i for i, word in enumerate(session.words) if _is_any(word, record.words)}
            case SpeechPart():
                session.undelivered.add(((record.utterance_id, record.clause), record.language))
            case _ if row["stage"]["S"] == "broadcast":
                session.ends |= {"receipts"} if isinstance(record, SessionEvent) else set()
            case _:
                self._ground.breach(f"{_brief(record)} is in the dead letters: {row['code']} {row['message']}")

    # --- nothing counts as done before it is ----------------------------------------------------------------------

    def _check_snapshot(self, stage: str, session: _Session, upto: Position) -> None:
        inputs = session.inputs[stage]
        at = session.checked[stage]
        while at < len(inputs) and inputs[at].position <= upto:
            self._check_done(f"a snapshot of {stage}", stage, session, inputs[at])
            at += 1
        session.checked[stage] = at

    def _check_checkpoint(self, stage: str, shard_id: str, sequence: int) -> None:
        inputs = self._by_shard[stage, shard_id]
        at = self._checked[stage, shard_id]
        while at < len(inputs) and inputs[at][0] <= sequence:
            self._check_done(f"a checkpoint of {stage}", stage, inputs[at][1], inputs[at][2])
            at += 1
        self._checked[stage, shard_id] = at

    def _check_done(self, what: str, stage: str, session: _Session, one: _Input) -> None:
        if one.needs is None:
            return
        match stage:
            case "transcribe":
                is_done = session.accepted >= one.needs
            case "translate":
                is_done = all(
                    spoken.at >= one.needs or set(range(spoken.at, one.needs)) <= session.refused
                    for spoken in (session.languages[language] for language in session.speaker.listeners)
                )
            case _:
                is_done = one.needs in session.receipts or one.needs in session.undelivered
        if not is_done:
            name = session.speaker.session_id
            self._ground.breach(f"{what} passes {one.position} of {name}, which is not done ({one.needs})")

    def _check_memory(self) -> None:
        for _, one in self._ground.runtimes:
            most = max((session.held_bytes for session in one._driver._sessions.values()), default=0)
            if most > MAX_HELD_BYTES + 2 * CHUNK_MS * 32:
                self._ground.breach(f"{most} bytes are held for one session")

    # --- in the end ----------------------------------------------------------------------------------------------

    def unsettled(self) -> list[str]:
        """Where the sessions' ends have not come."""
        streams = {"audio", "transcripts", "speech", "receipts"}
        return [
            f"the end of {name} is not in {sorted(streams - session.ends)}; {session.accepted} of {len(session.words)}"
            for name, session in self._sessions.items()
            if not streams <= session.ends
        ]

    def check_end(self) -> None:
        """Each word is where it belongs, or somebody says why not."""
        for name, session in self._sessions.items():
            if session.accepted < len(session.words):
                self._ground.breach(f"{name}: {session.accepted} of {len(session.words)} words were transcribed")
            for language in dict.fromkeys(session.speaker.listeners):
                spoken = session.languages[language]
                lost = (spoken.skipped | set(range(spoken.at, len(session.words)))) - session.refused
                if lost:
                    self._ground.breach(f"{name} in {language}: words {sorted(lost)} were not spoken")
        for phone in self._phones.phones.values():
            self._check_phone(self._sessions[phone.session_id], phone)

    def _check_phone(self, session: _Session, phone: Phone) -> None:
        name = f"{phone.connection_id} ({session.speaker.session_id} in {phone.language})"
        spoken = session.languages[phone.language]
        order = {key: n for n, key in enumerate(spoken.clauses)}
        heard = phone.heard()
        last = -1
        for key in phone.ear.clauses:
            if self._is_excused(session, key, phone):
                continue
            if key not in order:
                self._ground.breach(f"{name} heard {key}, which nobody said")
            elif order[key] < last:
                self._ground.breach(f"{name} heard {key} late")
            last = max(last, order.get(key, -1))
        for key, (whole_s, said) in spoken.clauses.items():
            if key in heard and heard[key] != said:
                self._ground.breach(f"{name} heard {heard[key]}, not {said}")
            may_lack = phone.left or (phone.joined_s > 0 and whole_s < phone.joined_s + JOINED_S)
            is_told = key in heard or key in phone.told
            if not is_told and not may_lack and not self._is_excused(session, key, phone):
                self._ground.breach(f"{name} lacks {key} {said}, and nobody says so")
        after_end = list(phone.ear.clauses)[phone.clauses_at_end :] if phone.clauses_at_end is not None else []
        if not phone.left and not all(self._is_excused(session, key, phone) for key in after_end):
            self._ground.breach(f"{name} heard something after the end")
        if phone.ear.rewrites:
            self._ground.breach(f"{name} saw {phone.ear.rewrites} captions rewritten")

    def _is_excused(self, session: _Session, key: Clause, phone: Phone) -> bool:
        """Given up, and told so: it may be lacking, or come late from a connection that was thought dead."""
        one = (key, phone.language)
        return session.receipts.get(one, 0) > 0 or one in session.undelivered


def _is_at(heard: Word, said: Word) -> bool:
    return heard.text == said.text and abs(heard.start_ms - said.start_ms) <= NEAR_MS


def _is_any(said: Word, heard: list[Word]) -> bool:
    return any(_is_at(one, said) for one in heard)


def _find(words: list[Word], start: int, heard: str, language: str) -> int | None:
    for at in range(start, len(words)):
        if in_language(words[at].text, language) == heard:
            return at
    return None


def _brief(record: Any) -> str:
    match record:
        case AudioChunk():
            return f"{record.session_id} chunk {record.sequence}"
        case Transcript():
            text = f"{record.status} {record.clause} r{record.revision} {record.transcript_text!r}"
            return f"{record.utterance_id} {text} {record.start_ms}-{record.end_ms}"
        case SpeechPart():
            place = f"{record.utterance_id} {record.language} {record.clause}"
            return f"speech {place} part {record.part}/{record.parts} {record.text!r}"
        case SessionEvent():
            return f"{record.session_id} {record.event}"
        case Receipt():
            what = f"receipt {record.of} {record.utterance_id} {record.language} {record.clause}"
            return f"{what}: {record.reached} reached, {record.failed} failed, {record.dropped} dropped"
        case _:
            text = f"{record.utterance_id} {record.language} r{record.revision} {record.text!r}"
            return f"{type(record).__name__} {text} final={getattr(record, 'final', '')}"

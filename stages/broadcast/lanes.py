"""What still has to go to one listener: a queue with its own bound (row B2). Pure.

Whole records are dropped, never a part of what the listener is just hearing: the oldest that has not begun goes first.
"""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

Ticket = TypeVar("Ticket")


class Entry(NamedTuple, Generic[Ticket]):
    """A record for one listener. audio_ms: its sound, 0 for a caption. expires_ms: when it is of no use any more."""

    ticket: Ticket
    messages: list[bytes]
    audio_ms: int
    expires_ms: int


class Lane(Generic[Ticket]):
    """One listener's queue. backlog_ms: sound that may wait, besides what is being sent.

    max_entries: bounds what has no sound.
    """

    def __init__(self, backlog_ms: int, max_entries: int) -> None:
        self._backlog_ms = backlog_ms
        self._max_entries = max_entries
        self._waiting: deque[Entry[Ticket]] = deque()
        self._waiting_ms = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting_ms(self) -> int:
        """Sound that waits."""
        return self._waiting_ms

    def has_room(self, audio_ms: int) -> bool:
        """Whether a record with so much sound can be queued without dropping another."""
        fits = self._waiting_ms == 0 or self._waiting_ms + audio_ms <= self._backlog_ms
        return fits and len(self._waiting) < self._max_entries

    def push(self, entry: Entry[Ticket]) -> list[Ticket]:
        """Queue it; what had to be dropped for it, oldest first. The newest is kept, whatever its length."""
        self._append(entry)
        dropped: list[Ticket] = []
        while self._waiting_ms > self._backlog_ms and (oldest := self._oldest_sound()) is not entry:
            dropped.append(self._remove(oldest).ticket)
        while len(self._waiting) > self._max_entries:
            dropped.append(self._remove(self._waiting[0]).ticket)
        return dropped

    def take(self, now_ms: int) -> tuple[Entry[Ticket] | None, list[Ticket]]:
        """The next to send, and what has waited too long."""
        dropped: list[Ticket] = []
        while self._waiting:
            entry = self._remove(self._waiting[0])
            if now_ms < entry.expires_ms:
                return entry, dropped
            dropped.append(entry.ticket)
        return None, dropped

    def discard(self, ticket: Ticket) -> bool:
        """Nobody waits for this one any more; whether it was still here."""
        for entry in self._waiting:
            if entry.ticket == ticket:
                self._remove(entry)
                return True
        return False

    def clear(self) -> list[Ticket]:
        """The listener has gone: all that waited."""
        tickets = [entry.ticket for entry in self._waiting]
        self._waiting.clear()
        self._waiting_ms = 0
        return tickets

    def _oldest_sound(self) -> Entry[Ticket]:
        return next(entry for entry in self._waiting if entry.audio_ms > 0)

    def _append(self, entry: Entry[Ticket]) -> None:
        self._waiting.append(entry)
        self._waiting_ms += entry.audio_ms

    def _remove(self, entry: Entry[Ticket]) -> Entry[Ticket]:
        if self._waiting[0] is entry:
            self._waiting.popleft()
        else:
            self._waiting.remove(entry)
        self._waiting_ms -= entry.audio_ms
        return entry

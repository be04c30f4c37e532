"""The log: all records in the order in which they became durable, in append-only segment files.

A group of records is one frame and one write. All numbers are little-endian.

    frame     bytes of the body and its CRC-32 (4 bytes each); the body: records, one after the other
    record    uid of the shard, counter, arrival in Unix ms (8 bytes each), bytes of the key and of the data
              (4 bytes each); the key in UTF-8, the data

A frame that ends early or has a wrong checksum was being written when the process or the machine died. Nobody was
told of it, and the log ends before it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.kinesis.log import Stored

Place = tuple[int, int, int, int, int]  # a record's counter, arrival (Unix ms), segment, offset and length (bytes)

_FRAME = struct.Struct("<II")
_RECORD = struct.Struct("<QQQII")
_OPEN_FILES = 16  # at the most, on disk


class Segments:
    """The segments of a directory, or of memory when it is None. The newest is the one that is written.

    Whatever fails raises OSError. One thread.
    """

    def __init__(self, directory: Path | None) -> None:
        self.number = 0  # the newest, and its bytes
        self.size = 0
        self._directory = directory
        self._files: dict[int, int] = {}  # descriptors by segment; in memory they are all there is, and stay open
        self._synced = self._torn = False
        self._finalizer = weakref.finalize(self, _close, self._files)

    def close(self) -> None:
        """Let go of the files; in memory that is their end."""
        self._finalizer()

    def numbers(self) -> list[int]:
        """The segments that an earlier process has left, oldest first."""
        files = self._directory.glob("segment-" + "[0-9]" * 8) if self._directory is not None else ()
        return sorted(int(file.name[-8:]) for file in files)

    def begin(self, number: int) -> None:
        """Write to this segment from now on; it is made if it is not there."""
        descriptor = self._open(number, os.O_RDWR | os.O_CREAT)
        self.number, self.size, self._synced = number, os.fstat(descriptor).st_size, False

    def replay(self, start: int) -> Iterator[tuple[int, Place]]:
        """Shard uid and place of what the newest segment has from a frame's offset on; a torn end is cut off."""
        if self.size < start:
            raise OSError(errno.EIO, f"segment {self.number} has {self.size} bytes and once had {start}")
        while body := self._body(start):
            start += _FRAME.size
            at = 0
            while at < len(body):
                uid, counter, at_ms, key_bytes, data_bytes = _RECORD.unpack_from(body, at)
                length = _RECORD.size + key_bytes + data_bytes
                yield uid, (counter, at_ms, self.number, start + at, length)
                at += length
            start += at
        os.ftruncate(self._files[self.number], start)
        self.size = start

    def _body(self, start: int) -> bytes:
        """The body of the frame at an offset; empty when there is no whole one. No group is empty."""
        descriptor = self._files[self.number]
        header = os.pread(descriptor, _FRAME.size, start)
        if len(header) < _FRAME.size:
            return b""
        length, checksum = _FRAME.unpack(header)
        if length > self.size - start - _FRAME.size:
            return b""
        body = os.pread(descriptor, length, start + _FRAME.size)
        return body if zlib.crc32(body) == checksum else b""

    def append(self, records: Sequence[tuple[int, Stored]]) -> list[tuple[int, Place]]:
        """Write a group of one record or more; shard uid and place of each. After a failure, nothing of it is there."""
        places: list[tuple[int, Place]] = []
        parts: list[bytes] = []
        end = self.size + _FRAME.size
        for uid, record in records:
            counter, at_ms, key, data = record.counter, record.at_ms, record.key.encode(), record.data
            parts += (_RECORD.pack(uid, counter, at_ms, len(key), len(data)), key, data)
            length = _RECORD.size + len(key) + len(data)
            places.append((uid, (counter, at_ms, self.number, end, length)))
            end += length
        body = b"".join(parts)
        self._write(_FRAME.pack(len(body), zlib.crc32(body)), body)
        self.size = end
        return places

    def _write(self, header: bytes, body: bytes) -> None:
        if self._torn:
            raise OSError(errno.EIO, "an earlier write failed and could not be undone")
        descriptor, self._synced = self._files[self.number], False
        try:
            if os.pwritev(descriptor, (header, body), self.size) < len(header) + len(body):
                raise OSError(errno.ENOSPC, "written in part only")
        except OSError:
            self._torn = True
            os.ftruncate(descriptor, self.size)
            self._torn = False
            raise

    def sync(self) -> None:
        """Have what was written survive a power cut."""
        if not self._synced:
            os.fdatasync(self._files[self.number])
            self._synced = True

    def read(self, uid: int, place: Place) -> Stored:
        """A shard's record."""
        counter, at_ms, segment, offset, length = place
        descriptor = self._files[segment] if segment in self._files else self._open(segment, os.O_RDONLY)
        raw = os.pread(descriptor, length, offset)
        if len(raw) < length or _RECORD.unpack_from(raw)[:3] != (uid, counter, at_ms):
            raise OSError(errno.EIO, f"segment {segment} is damaged at byte {offset}")
        data = _RECORD.size + _RECORD.unpack_from(raw)[3]
        return Stored(counter, at_ms, raw[_RECORD.size : data].decode(), raw[data:])

    def remove(self, number: int) -> None:
        """Delete a segment other than the newest. What cannot be deleted is left for the next start."""
        if number in self._files:
            os.close(self._files.pop(number))
        if self._directory is not None:
            with contextlib.suppress(OSError):
                _path(self._directory, number).unlink()

    def _open(self, number: int, flags: int) -> int:
        if self._directory is None:
            descriptor = os.memfd_create(f"segment-{number}")
        else:
            descriptor = os.open(_path(self._directory, number), flags, 0o644)
            others = [other for other in self._files if other != self.number]
            if len(others) >= _OPEN_FILES - 1:
                os.close(self._files.pop(others[0]))
        self._files[number] = descriptor
        return descriptor


def _path(directory: Path, number: int) -> Path:
    return directory / f"segment-{number:08d}"


def _close(files: dict[int, int]) -> None:
    while files:
        os.close(files.popitem()[1])

from __future__ import annotations

import contextlib
import gc
import os
import zlib
from pathlib import Path

import pytest

from local.kinesis import segments
from local.kinesis.log import Stored
from local.kinesis.segments import Place, Segments

_FIRST = [(7, Stored(1, 10, "a", b"x")), (8, Stored(1, 11, "ü", b""))]
_SECOND = [(7, Stored(2, 12, "b", b"yy"))]


def _written(directory: Path) -> tuple[bytes, int]:
    """Two groups in segment 1; the file, and where the second begins."""
    log = Segments(directory)
    log.begin(1)
    log.append(_FIRST)
    border = log.size
    log.append(_SECOND)
    log.close()
    return (directory / "segment-00000001").read_bytes(), border


def _found(directory: Path, content: bytes, start: int = 0) -> tuple[list[Stored], int]:
    """What is found in a segment of this content, and its size afterwards."""
    (directory / "segment-00000001").write_bytes(content)
    log = Segments(directory)
    log.begin(1)
    records = [log.read(uid, place) for uid, place in log.replay(start)]
    assert log.size == (directory / "segment-00000001").stat().st_size
    log.close()
    return records, log.size


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    content, border = _written(tmp_path)
    assert _found(tmp_path, content) == ([record for _, record in (*_FIRST, *_SECOND)], len(content))
    assert _found(tmp_path, content, border) == ([_SECOND[0][1]], len(content))


def test_a_torn_end_is_cut_off_wherever_it_is_torn(tmp_path: Path) -> None:
    content, border = _written(tmp_path)
    whole = [record for _, record in _FIRST]
    for end in range(border, len(content)):
        assert _found(tmp_path, content[:end]) == (whole, border), end
        assert _found(tmp_path, content[:end].ljust(len(content), b"\0")) in (
            (whole, border),
            ([*whole, _SECOND[0][1]], len(content)),  # the rest was zeros anyway
        )


def test_a_wrong_byte_ends_the_log(tmp_path: Path) -> None:
    content, border = _written(tmp_path)
    for at in range(border, len(content)):
        wrong = bytearray(content)
        wrong[at] ^= 0x10
        assert _found(tmp_path, bytes(wrong)) == ([record for _, record in _FIRST], border), at


def test_zeros_are_no_groups(tmp_path: Path) -> None:
    assert zlib.crc32(b"") == 0  # so that zeros look like a whole frame of nothing
    content, _ = _written(tmp_path)
    assert _found(tmp_path, content + bytes(4096))[1] == len(content)


def test_a_segment_shorter_than_it_once_was_is_refused(tmp_path: Path) -> None:
    content, border = _written(tmp_path)
    with pytest.raises(OSError, match="once had"):
        _found(tmp_path, content[: border - 1], border)


def test_a_record_is_known_by_shard_and_counter(tmp_path: Path) -> None:
    log = Segments(tmp_path)
    log.begin(1)
    ((_, place),) = log.append(_SECOND)
    assert log.read(7, place) == _SECOND[0][1]
    with pytest.raises(OSError, match="damaged at byte 8"):
        log.read(8, place)
    os.truncate(tmp_path / "segment-00000001", 40)
    with pytest.raises(OSError, match="damaged"):
        log.read(7, place)
    log.close()


def _open_files(beginning: str) -> int:
    """Descriptors of this process whose file's name begins so."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith(beginning)
    return count


@pytest.mark.parametrize("in_memory", [False, True])
def test_segments_are_read_whichever_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(segments, "_OPEN_FILES", 3)
    log = Segments(None if in_memory else tmp_path)
    places: list[Place] = []
    for number in range(1, 8):
        log.begin(number)
        places += [place for _, place in log.append([(7, Stored(number, number, "k", b"%d" % number))])]
    for place in (*places, *reversed(places)):
        assert log.read(7, place).data == b"%d" % place[2]
        assert _open_files(str(tmp_path)) == (0 if in_memory else 3)
    log.remove(1)
    assert log.numbers() == ([] if in_memory else list(range(2, 8)))
    log.close()
    assert _open_files(str(tmp_path)) == 0


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "segment-00000001.bak").touch()
    (tmp_path / "segment-of-cake").touch()
    assert Segments(tmp_path).numbers() == []


def test_memory_is_given_back_with_its_owner() -> None:
    gc.collect()  # other tests' stores
    before = _open_files("/memfd:segment-")
    log = Segments(None)
    log.begin(1)
    assert _open_files("/memfd:segment-") == before + 1
    del log
    assert _open_files("/memfd:segment-") == before

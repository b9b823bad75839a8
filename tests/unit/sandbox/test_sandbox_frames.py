"""What an invocation wrote is taken in whole lines while it runs, within the same bounds."""

from __future__ import annotations

import msgspec
import pytest

from casemate.sandbox.frames import MAX_LINES, Output, decode_log


def out(*entries: tuple[str, bytes], limit: int = 1000) -> Output:
    output = Output(limit)
    for level, data in entries:
        output.add(1.0, level, data)
    return output


def taken(output: Output) -> list[bytes]:
    return [data for _, _, data in output.take()]


def test_whole_lines_are_taken_once() -> None:
    output = out(("stdout", b"one\n"), ("info", b"two\n"))
    assert taken(output) == [b"one\n", b"two\n"]
    assert taken(output) == []
    output.add(1.0, "stdout", b"three\n")
    assert taken(output) == [b"three\n"]


def test_what_has_no_end_yet_stays_with_all_that_follows() -> None:
    output = out(("info", b"one\n"), ("stdout", b"half"), ("info", b"two\n"))
    assert taken(output) == [b"one\n"]
    assert taken(output) == []
    output.add(1.0, "stdout", b" a line\n")
    assert taken(output) == [b"half", b"two\n", b" a line\n"]
    assert output.entries == []


def test_a_key_is_taken_whole() -> None:
    output = out(("stdout", b"x\n"), ("stdout", b"-----BEGIN PRIVATE KEY-----\nMII\n"))
    assert taken(output) == [b"x\n"]
    output.add(1.0, "stdout", b"abc\n-----END PRIVATE KEY-----\n")
    assert len(taken(output)) == 2


def test_taking_frees_no_room_for_more() -> None:
    output = out(("stdout", b"x" * 9 + b"\n"), limit=15)
    assert taken(output)
    assert not output.add(1.0, "stdout", b"y" * 10)
    assert output.dropped == 5
    many = Output(10 * MAX_LINES)
    for _ in range(MAX_LINES):
        many.add(1.0, "info", b"\n")
    assert len(many.take()) == MAX_LINES
    assert not many.add(1.0, "info", b"\n")


@pytest.mark.parametrize("at", ["1e308", "1E+300", "-1.5e-308", "0e0"])
def test_a_time_that_is_slow_to_read_is_not_read(at: str) -> None:
    """It takes a hundred times as long: thousands of lines held all calls of a node for 0.3 s."""
    with pytest.raises(msgspec.ValidationError, match="exponent"):
        decode_log(b'{"level":"info","at":%b}' % at.encode())


def test_what_a_log_frame_says_is_read() -> None:
    entry = decode_log(b'{"level":"stage2-prelude","at":1764768000.25}')
    assert (entry.level, entry.at) == ("stage2-prelude", 1764768000.25)

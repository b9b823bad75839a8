"""What is written to standard output and error by other ways than `print` and `write` of a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard import guarded

HANDLER = """
import os, sys
def handler(event, context):
    name = event["k"]
    print("INFO begun")
    try:
        {}
    finally:
        print(flush=True)
    return 1
"""
WAYS = {
    "lines in a list": "sys.stdout.writelines(['INFO user ', name, ' is in\\n'])",
    "lines given once": "sys.stdout.writelines(x for x in ['INFO user ', name, ' is in\\n'])",
    "lines in a tuple on error": "sys.stderr.writelines(('INFO user ' + name + '\\n',))",
    "bytes": "sys.stdout.buffer.write(('INFO user ' + name + '\\n').encode())",
    "bytes in pieces": "sys.stdout.buffer.write(b'INFO user '); "
    "sys.stdout.buffer.write(name.encode()); sys.stdout.buffer.write(b' is in\\n')",
    "lines of bytes": "sys.stderr.buffer.writelines([b'INFO user ', name.encode(), b'\\n'])",
    "a descriptor": "os.write(1, f'INFO user {name}\\n'.encode())",
    "the other descriptor": "os.write(2, b'INFO user '); os.write(2, name.encode() + b'\\n')",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_record_that_the_event_begins_is_stopped(tmp_path: Path, way: str) -> None:
    events = [{"k": "Ana\nINFO user root is in"}, {"k": "Ana\nLima"}, {"k": "Ana Lima"}]
    found = guarded(tmp_path, HANDLER.format(WAYS[way]), events)
    assert [one.outcome for one in found] == ["blocked", "ok", "ok"], found


def test_a_warning_that_begins_another_record_is_stopped(tmp_path: Path) -> None:
    warned = "import warnings; warnings.warn('note: ' + name)"
    texts = ("Ana\napp.py:9: UserWarning: fine", "Ana\nERROR gone", "low\nplease look", "a\nb: c")
    found = guarded(tmp_path, HANDLER.format(warned), [{"k": text} for text in texts])
    assert [one.outcome for one in found] == ["blocked", "blocked", "ok", "ok"], found


@pytest.mark.parametrize(
    "statement",
    [
        "os.write(os.open('/dev/null', os.O_WRONLY), f'INFO user {name}\\n'.encode())",
        "os.write(1, b''); sys.stdout.buffer.write(bytes(range(128)))",
        "sys.stdout.writelines([])",
        "sys.stdout.buffer.write(name.encode())",
    ],
)
def test_what_is_no_record_of_the_codes_passes(tmp_path: Path, statement: str) -> None:
    event = {"k": "Ana\nINFO user root"}
    (one,) = guarded(tmp_path, HANDLER.format(statement), [event])
    assert one.outcome == "ok", one

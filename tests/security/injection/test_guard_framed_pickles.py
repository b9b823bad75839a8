"""Pickles that are compressed behind a head of their own, patterns with words that may be left out,
and separators that end a line for who reads lines by `splitlines`."""

from __future__ import annotations

import base64
import gzip
import pickle
import struct
import zlib
from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

FRAMES = """
import base64, gzip, io, pickle, struct, zlib
HEAD = struct.Struct(">4sBI")
def handler(event, context):
    stream, found = io.BytesIO(base64.b64decode(event["frames"])), []
    while head := stream.read(HEAD.size):
        _, kind, length = HEAD.unpack(head)
        data = stream.read(length)
        found.append(str(pickle.loads((gzip if kind else zlib).decompress(data))))
    return found
"""


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 + 1",)


def framed(*values: object, kind: int = 1) -> dict[str, str]:
    data = b""
    for value in values:
        packed = (gzip if kind else zlib).compress(pickle.dumps(value))
        data += struct.pack(">4sBI", b"WXFR", kind, len(packed)) + packed
    return {"frames": base64.b64encode(data).decode()}


def test_frames_with_code_are_stopped_wherever_they_stand(tmp_path: Path) -> None:
    cases = {
        "one": (FRAMES, framed(_Runs())),
        "zlib": (FRAMES, framed(_Runs(), kind=0)),
        "the last": (FRAMES, framed({"temp": 3}, [1, 2], _Runs())),
    }
    assert_blocked(tmp_path, cases, {"deserialisation"}, [])


def test_frames_of_values_pass(tmp_path: Path) -> None:
    readings = [{"temp": 3.5, "note": "x" * n} for n in range(40)]
    cases = {
        "one": (FRAMES, framed(readings[0])),
        "many": (FRAMES, framed(*readings)),
        "zlib": (FRAMES, framed(*readings[:3], kind=0)),
    }
    assert_passes(tmp_path, cases, [])


ANSWER = r"""
import re
def handler(event, context):
    pattern = rf"(?:the |a |an )?{event['answer']}\.?"
    return re.fullmatch(pattern, "Christopher Marlowe", re.I) is not None
"""


def test_a_pattern_with_words_that_may_be_left_out_is_the_codes(tmp_path: Path) -> None:
    wide = (".*", r"\w+\s\w+", "Chris.+", "[a-z ]{5,40}", "(?=C)[^0-9]+", "Kyd|Christopher Marlowe")
    cases = {each: (ANSWER, {"answer": each}) for each in wide}
    assert_blocked(tmp_path, cases, {"regex"}, [])
    plain = ("Dr. No", "AC/DC", "O'Brien", "Marlowe, Ch.", "HyperText Markup Language")
    assert_passes(tmp_path, {each: (ANSWER, {"answer": each}) for each in plain}, [])


RECORDS = """
import tempfile, pathlib
def handler(event, context):
    rows = [f"H;{event['clerk']}", f"P;DE89;81.20;{event['purpose']}", "T;1"]
    path = pathlib.Path(tempfile.mkdtemp()) / "batch.txt"
    path.write_text("\\n".join(rows) + "\\n", encoding="utf-8")
    return len(path.read_text(encoding="utf-8").splitlines())
"""


def test_separators_of_files_groups_and_records_end_lines(tmp_path: Path) -> None:
    cases = {
        f"U+{ord(sign):04X}": (RECORDS, {"clerk": "ann", "purpose": f"Order{sign}P;GB29;1;x"})
        for sign in "\x1c\x1d\x1e"
    }
    assert_blocked(tmp_path, cases, {"cell", "file", "log", "code", "deserialisation"}, [])


PAGE = """
import yaml
def handler(event, context):
    return str(yaml.load(event["page"], Loader=yaml.Loader))
"""


def test_tags_of_plain_values_make_no_objects(tmp_path: Path) -> None:
    plain = (
        "when: !!timestamp 2026-01-02\nid: !!str 007\nkey: !!binary aGVsbG8=\nall: !!omap [a: 1]\n"
    )
    of_python = "span: !!python/tuple [3.5, 5.1]\nname: !!python/str x\nat: !!python/complex 1+2j\n"
    cases = {"plain": plain, "of Python": of_python}
    assert_passes(tmp_path, {n: (PAGE, {"page": page}) for n, page in cases.items()}, ["yaml"])
    hostile = (
        'x: !!python/object/apply:eval ["1 + 1"]',
        "x: !!python/name:os.system",
        "x: !!python/tuplet:os.system [1]",
        "x: !!python/module:os",
    )
    attacks = {each: (PAGE, {"page": of_python + each}) for each in hostile}
    attacks["another meaning"] = (PAGE, {"page": "%TAG !! tag:evil,2000:\n---\n" + of_python})
    assert_blocked(tmp_path, attacks, {"deserialisation"}, ["yaml"])

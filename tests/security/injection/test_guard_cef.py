"""Records of CEF and LEEF, whose fields and attributes data adds to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.written import cef
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("logging", "logging.handlers", "socket")
GATE = """
import logging, logging.handlers, socket
FIELDS = ("src", "suser", "msg")
def cef(item):
    extension = " ".join(f"{f}={item[f]}" for f in FIELDS if item.get(f))
    return f"CEF:0|Acme|DoorGate|4.2|denied|{item['door']}|6|{extension}"
def handler(event, context):
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    log = logging.getLogger("siem")
    log.handlers[:] = [logging.handlers.SysLogHandler(sink.getsockname())]
    log.warning(cef(event))
    return sink.recv(8192).decode()
"""
ESCAPED = GATE.replace(
    "def cef(item):",
    "def cef(item):\n"
    "    item = {k: v.replace('\\\\', '\\\\\\\\').replace('|', '\\\\|').replace('=', '\\\\=')\n"
    "            for k, v in item.items()}",
)
LEEF = """
import logging, sys
logging.basicConfig(stream=sys.stderr, format="%(message)s")
def handler(event, context):
    parts = "\\t".join(f"{k}={event[k]}" for k in ("src", "usrName"))
    logging.error("LEEF:1.0|Acme|Gate|1|" + event["id"] + "|" + parts)
    return 1
"""
PASSING: Cases = {
    "words": (
        GATE,
        {"door": "Main gate (north)", "src": "10.0.0.1", "msg": "no badge; asked twice"},
    ),
    "other keys": (GATE, {"door": "d", "src": "10.0.0.1", "msg": "volume=3 of 5, see x=y"}),
    "a value that is a key": (GATE, {"door": "msg", "src": "10.0.0.1", "msg": "src"}),
    "a bar in the message": (GATE, {"door": "d", "src": "10.0.0.1", "msg": "a | b"}),
    "escaped": (ESCAPED, {"door": "a|b", "src": "1", "msg": "ok suser=ceo \\\\ |"}),
    "LEEF": (LEEF, {"src": "10.0.0.1", "usrName": "eve o'hara", "id": "E-1"}),
}
BLOCKED: Cases = {
    "severity": (GATE, {"door": "x|1|", "src": "10.0.0.1", "msg": "window"}),
    "severity, behind a backslash of its own": (GATE, {"door": "x\\\\|1|", "src": "1", "msg": "w"}),
    "another user": (GATE, {"door": "d", "src": "1", "suser": "eve", "msg": "ok suser=ceo"}),
    "a field that is known": (GATE, {"door": "d", "src": "1", "msg": "ok act=allowed"}),
    "by a tab": (GATE, {"door": "d", "src": "1", "msg": "ok\tsrc=8.8.8.8"}),
    "LEEF, field": (LEEF, {"src": "10.0.0.1", "usrName": "eve", "id": "E|x"}),
    "LEEF, attribute": (LEEF, {"src": "10.0.0.1\tusrName=ceo", "usrName": "eve", "id": "E"}),
}


def test_fields_and_attributes_are_not_added(tmp_path: Path) -> None:
    assert_blocked(tmp_path, BLOCKED, {"log"}, PRELOAD)


def test_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, PASSING, PRELOAD)


@pytest.mark.parametrize("part", ["\\", "|", "\\|", " a=", "\t", "CEF:0|", " " * 50 + "x="])
def test_a_record_takes_no_longer_than_it_is_long(part: str) -> None:
    def seconds(size: int) -> float:
        head = "CEF:0|Acme|Gate|1|x|door|3|msg="
        text = head + (part * size)[:size]
        spans = [Span(len(head), len(text), Origin("event", ("msg",)), exact=True)]
        began = time.process_time()
        cef.judge(text, spans)
        return time.process_time() - began

    assert seconds(200_000) < 1.0

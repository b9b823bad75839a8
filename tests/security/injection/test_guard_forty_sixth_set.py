"""What a forty-sixth set of programs by others showed. Each has its harmless twins."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- harmless: what was cut from a text that the code has put together ----------------------------

HEAD = r"""
import json
def handler(event, context):
    wanted = json.loads(event["body"])
    lines = ["HTTP/1.1 200 OK", f"Set-Cookie: theme={wanted['theme']}; Path=/"]
    raw = "\r\n".join([*lines, "", json.dumps({"comment": wanted.get("comment", "")})])
    return raw.split("\r\n\r\n", 1)[0].split("\r\n")
"""


def test_a_head_is_not_searched_for_pieces_of_what_stands_behind_it(tmp_path: Path) -> None:
    for comment in (r"line\r\nSet-Cookie: a=b", r"e\r\nSet-Cookie: theme=x; Path=/", "O'Neil"):
        body = f'{{"theme": "dark", "comment": "{comment}"}}'
        assert_passes(tmp_path, {comment: (HEAD, {"body": body})}, ())
    hostile = r'{"theme": "dark\r\nSet-Cookie: a=b"}'
    assert_blocked(tmp_path, {"theme": (HEAD, {"body": hostile})}, {"header"}, ())


# -- texts of images that the event has in base64 -------------------------------------------------

PICTURE = """
import base64, sqlite3, struct
def texts(data):
    found, place = {}, 8
    while place < len(data):
        size, = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"tEXt":
            name, _, text = bytes(data[place + 8 : place + 8 + size]).partition(b"\\0")
            found[str(name, "latin-1")] = str(text, "latin-1")
        place += size + 12
    return found
def handler(event, context):
    title = texts(memoryview(base64.b64decode(event["data"])))["Title"].strip()
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE photo (title TEXT, state TEXT)")
    db.execute(f"INSERT INTO photo VALUES (\\"{title}\\", 'pending')")
    return db.execute("SELECT * FROM photo").fetchall()
"""


def _picture(title: str, *, more: int = 0) -> dict[str, str]:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    text = b"Title\0" + title.encode("latin-1")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", text) + chunk(b"IDAT", bytes(range(256)) * more)
    return {"data": base64.b64encode(data).decode()}


def test_a_text_of_an_image_is_the_event_s(tmp_path: Path) -> None:
    hostile = ("x\", 'approved') --", '" || (SELECT 1) || "', 'a", "b"), ("c", "d')
    cases: Cases = {
        f"{title} {more}": (PICTURE, _picture(title, more=more))
        for title in hostile
        for more in (0, 4, 1000)
    }
    assert_blocked(tmp_path, cases, {"sql"}, ())
    harmless = ("ok", "Ada's cat", "Drop table; select --", "M\u00fcnchen, 2024 (1/2)")
    assert_passes(tmp_path, {t: (PICTURE, _picture(t, more=4)) for t in harmless}, ())


# -- lines of a protocol that the code divides itself ---------------------------------------------

ORDERS = r"""
def feed(text):
    return [line.split()[0] for line in text.split("\r\n") if line.split()]
def handler(event, context):
    client = event["client"].replace(" ", "_")
    return feed(f"INCR hits:{client}\r\n") + feed(f"SET last {client}\rGET last\r")
"""


SINKS = {"deserialisation", "nosql"}


def test_data_begins_no_order_of_a_protocol_of_the_code_s(tmp_path: Path) -> None:
    hostile = ("1.2.3.4\r\nSET\tflag\t1", "x\r\nDEL\tlimit\r\n", "a\r\n\r\nFLUSHALL")
    assert_blocked(tmp_path, {c: (ORDERS, {"client": c}) for c in hostile}, SINKS, ())
    harmless = ("1.2.3.4", "2001:db8::1", "SET flag 1", "o'hara;--", "a\nb", "")
    assert_passes(tmp_path, {c: (ORDERS, {"client": c}) for c in harmless}, ())


MESSAGE = r"""
def handler(event, context):
    text = f"Subject: {event['subject']}\r\n\r\n{event['body']}\r\n"
    return text.split("\r\n")
"""


def test_a_body_of_several_lines_begins_none(tmp_path: Path) -> None:
    event = {"subject": "Hello", "body": "one\r\ntwo\r\nBcc: none"}
    assert_passes(tmp_path, {"body": (MESSAGE, event)}, ())

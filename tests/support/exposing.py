"""Code that catches an exception, and answers with what it caught: kinds, phases, ways out."""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import gzip
import html
import io
import json
import lzma
import quopri
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from email.header import Header
from http.cookies import SimpleCookie
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from urllib.parse import quote, urlencode

PLANTED = {
    "secret": "tr0ub4dor-and-3-hunter2",
    "path": "/function/deps/inner/settings_of_prod.py",
    "trace": 'File "/function/code/other.py", line 7, in connect',
    "source": "connect(password=PASSWORDS['production'])",
}
CODE = '''
import asyncio, concurrent.futures, contextlib, functools, html, inspect, io, json, linecache
import logging, sqlite3, sys, threading, traceback

class OwnError(Exception):
    pass

def fail(kind, planted):
    if kind.startswith("database"):
        sqlite3.connect(":memory:").execute('select * from "' + planted.replace('"', '') + '"')
    if kind == "file":
        open("/nowhere/" + planted.replace("/", "_"))
    raise OwnError("cannot reach " + planted)  # the_line_of_source(PLANTED)

def text_of(kind, error):
    # Only these format it, which notes it wherever it comes from.
    if kind in ("trace", "page", "nested"):
        whole = "".join(traceback.format_exception(error))
    if kind == "trace":
        return whole
    if kind == "page":
        return "<html><h2>Traceback:</h2>\\n<pre>" + html.escape(whole) + "</pre>"
    if kind == "stripped":
        return "".join(traceback.format_tb(error.__traceback__)).replace("/function/code/", "")
    if kind == "nested":
        return json.dumps(json.dumps({"detail": whole}))
    if kind == "source":
        last = traceback.extract_tb(error.__traceback__)[-1]
        return linecache.getline(last.filename, last.lineno)
    if kind == "repr":
        return "oops: " + repr(error)
    if kind == "last":
        return "".join(traceback.format_exception_only(type(error), error))
    if kind == "logged":
        stream = io.StringIO()
        logger = logging.Logger("kept")
        logger.addHandler(logging.StreamHandler(stream))
        logger.error("it failed", exc_info=error)
        return stream.getvalue()
    if kind == "frames":
        last = traceback.extract_tb(error.__traceback__)[-1]
        name = last.filename.rpartition("/")[2]
        return json.dumps([{"file": name, "line": last.lineno, "function": last.name}])
    if kind == "place":
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "failed in " + last.filename.rpartition("/")[2] + " on line " + str(last.lineno)
    if kind == "walked":
        frames = list(traceback.walk_tb(error.__traceback__))
        return "; ".join(f"{f.f_code.co_filename}({line})" for f, line in frames)
    if kind == "code":
        return inspect.getsource(list(traceback.walk_tb(error.__traceback__))[-1][0].f_code)
    if kind == "type":
        return str(type(error))
    if kind == "arguments":
        return f"{type(error).__name__}{error.args!r}"
    if kind == "database-html":
        return "<p>" + html.escape(str(error)) + "</p>"
    return str(error)

def in_handler(kind, planted):
    try:
        fail(kind, planted)
    except Exception as error:
        return text_of(kind, error)

def in_nested(kind, planted):
    def deeper(left):
        return deeper(left - 1) if left else fail(kind, planted)
    try:
        deeper(5)
    except (OwnError, sqlite3.Error, OSError):
        return text_of(kind, sys.exc_info()[1])

def in_generator(kind, planted):
    def rows():
        yield "first"
        try:
            fail(kind, planted)
        except Exception as error:
            yield text_of(kind, error)
    return "".join(rows())

def in_middleware(kind, planted):
    def guarded(function):
        @functools.wraps(function)
        def inner(*arguments):
            try:
                return function(*arguments)
            except Exception as error:
                return text_of(kind, error)
        return inner
    return guarded(fail)(kind, planted)

def in_async(kind, planted):
    async def main():
        await asyncio.sleep(0)
        try:
            fail(kind, planted)
        except Exception as error:
            return text_of(kind, error)
    return asyncio.run(main())

class Kept:
    def __init__(self, kind):
        self.kind = kind
    def __enter__(self):
        return self
    def __exit__(self, kind, error, trace):
        """Keep it."""
        self.text = text_of(self.kind, error)
        return True

def in_context(kind, planted):
    with Kept(kind) as kept:
        fail(kind, planted)
    return kept.text

def in_finally(kind, planted):
    try:
        fail(kind, planted)
    finally:
        return text_of(kind, sys.exc_info()[1])

def in_loop(kind, planted):
    for number in range(1):
        try:
            fail(kind, planted)
        finally:
            text = text_of(kind, sys.exc_info()[1])
            continue
    return text

def in_encoding(kind, planted):
    class Odd:
        pass
    def default(value):
        fail(kind, planted)
    try:
        json.dumps(Odd(), default=default)
    except Exception as error:
        return text_of(kind, error)

def in_gather(kind, planted):
    async def one():
        fail(kind, planted)
    async def main():
        found = await asyncio.gather(one(), return_exceptions=True)
        return text_of(kind, found[0])
    return asyncio.run(main())

def in_task(kind, planted):
    async def one():
        fail(kind, planted)
    async def main():
        task = asyncio.create_task(one())
        await asyncio.wait([task])
        return text_of(kind, task.exception())
    return asyncio.run(main())

def in_pool(kind, planted):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return text_of(kind, pool.submit(fail, kind, planted).exception())

def in_group(kind, planted):
    async def one():
        fail(kind, planted)
    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(one())
        except* Exception as errors:
            return_value.append(text_of(kind, errors.exceptions[0]))
    return_value = []
    asyncio.run(main())
    return return_value[0]

def in_thread(kind, planted):
    kept = []
    before, threading.excepthook = threading.excepthook, kept.append
    try:
        thread = threading.Thread(target=fail, args=(kind, planted))
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    return text_of(kind, kept[0].exc_value)

def in_exit_stack(kind, planted):
    kept = []
    def leave(kind_of, error, trace):
        kept.append(text_of(kind, error))
        return True
    with contextlib.ExitStack() as stack:
        stack.push(leave)
        fail(kind, planted)
    return kept[0]

def chained(kind, planted):
    try:
        try:
            fail(kind, planted)
        except Exception as error:
            raise RuntimeError("outer") from error
    except RuntimeError as outer:
        return text_of(kind, outer.__cause__) if kind != "trace" else traceback.format_exc()
'''
KINDS = (
    *("trace", "page", "stripped", "nested", "source", "repr", "last", "file"),
    *("database", "database-html", "logged", "frames", "place", "walked", "code", "type"),
    "arguments",
)
PHASES = (
    *("in_handler", "in_nested", "in_generator", "in_middleware", "in_async", "in_context"),
    *("in_encoding", "chained", "in_finally", "in_loop", "in_gather", "in_task", "in_pool"),
    *("in_group", "in_thread", "in_exit_stack"),
)
WAYS = (
    *("json", "text", "html", "header", "base64", "gzip", "destination", "aws"),
    *("redirect", "cookie", "key", "utf-16", "packed", "session", "deflate"),
)


def answer(way: str, text: str) -> Any:
    """Return what a handler returns to send a text that way."""
    if way == "json":
        return {"error": text, "code": 17}
    if way == "destination":
        return {"results": [{"id": 1}, {"failed": text}]}
    if way == "text":
        return {"status": 200, "body": "It did not work:\n" + text}
    if way == "html":
        kind = {"content-type": "text/html; charset=utf-8"}
        return {"status": 500, "headers": kind, "body": f"<pre>{html.escape(text)}</pre>"}
    if way == "header":
        one = " ".join(text.split()).encode("ascii", "replace").decode()
        return {"status": 200, "headers": {"x-error": one}, "body": "ok"}
    if way == "redirect":
        return {"status": 302, "headers": {"location": "/login?error=" + quote(text)}, "body": ""}
    if way == "cookie":
        return {"status": 200, "headers": {"set-cookie": "e=" + quote(text, safe="")}, "body": "ok"}
    if way == "key":
        return {text: 1}
    if way == "base64":
        packed = base64.b64encode(text.encode()).decode()
        return {"status": 200, "body": packed, "is_base64": True}
    if way == "utf-16":
        kept = {"content-type": "text/csv; charset=utf-16"}
        return {"status": 200, "headers": kept, "body": ("id;" + text).encode("utf-16")}
    if way == "packed":
        return {"error": base64.b64encode(text.encode()).decode()}
    if way == "session":
        flashed = zlib.compress(json.dumps({"_flashes": [text]}).encode())
        cookie = "session=." + base64.urlsafe_b64encode(flashed).decode().rstrip("=") + ".Zx1.sig"
        return {"status": 302, "headers": {"set-cookie": cookie}, "body": ""}
    if way == "deflate":
        kept = {"content-encoding": "deflate"}
        return {"status": 200, "headers": kept, "body": zlib.compress(text.encode())}
    if way == "gzip":
        kept = {"content-encoding": "gzip"}
        return {"status": 200, "headers": kept, "body": gzip.compress(text.encode())}
    return {"statusCode": 200, "body": json.dumps({"message": text})}


def _data(data: bytes, kind: str = "application/octet-stream") -> Any:
    kept = {"content-type": kind}
    return {
        "status": 200,
        "headers": kept,
        "body": base64.b64encode(data).decode(),
        "is_base64": True,
    }


def _head(name: str, value: str) -> Any:
    return {"status": 200, "headers": {name: value}, "body": "ok"}


def _page(body: str, kind: str = "text/html") -> Any:
    return {"status": 200, "headers": {"content-type": kind}, "body": body}


def _line(text: str) -> str:
    return " ".join(text.split()).encode("ascii", "replace").decode()


def _cookie(text: str) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie["flash"] = text
    return cookie["flash"].OutputString()


def _zip(text: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fine.txt", "nothing")
        archive.writestr("log.txt", text)
    return made.getvalue()


def _tar(text: str, mode: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        entry = tarfile.TarInfo("log.txt")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def _part(encoding: bytes, data: bytes) -> Any:
    body = b"--b\r\n\r\nfine\r\n--b\r\n%b\r\n\r\n%b\r\n--b--\r\n" % (encoding, data)
    return _data(body, "multipart/mixed; boundary=b")


def _marked(text: str) -> str:
    tokens = re.findall(r"\w+|\s+|[^\w\s]", text)
    return "".join(f"<span class=n>{html.escape(token)}</span>" for token in tokens)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _codes(text: str, form: str) -> str:
    return "".join(form.format(ord(character)) for character in text)


def _uuencoded(data: bytes) -> str:
    lines = [binascii.b2a_uu(data[at : at + 45]).decode() for at in range(0, len(data), 45)]
    return "begin 644 log.txt\n" + "".join(lines) + "`\nend\n"


_SIGNS = "0123456789{}{}{}"
_Z85 = str.maketrans(
    _SIGNS.format(ascii_uppercase, ascii_lowercase, "!#$%&()*+-;<=>?@^_`{|}~"),
    _SIGNS.format(ascii_lowercase, ascii_uppercase, ".-:+=^!/*?&<>()[]{}@%$#"),
)
_TRANSFER = b"content-transfer-encoding: "
SPELLED: dict[str, Callable[[str], Any]] = {
    "etag": lambda t: _head("etag", '"' + _line(t).replace('"', "") + '"'),
    "server-timing": lambda t: _head("server-timing", f'db;dur=3;desc="{_line(t)}"'),
    "disposition": lambda t: _head(
        "content-disposition", f"attachment; filename*=UTF-8''{quote(t)}"
    ),
    "trailer": lambda t: _head("x-checksum", _line(t)),
    "quoted header": lambda t: _head(
        "x-said", Header(_line(t), "utf-8").encode().replace("\n", "")
    ),
    "packed header": lambda t: _head("subject", f"=?utf-8?b?{_b64(t)}?="),
    "octal cookie": lambda t: _head("set-cookie", _cookie(t)),
    "nested address": lambda t: _head("location", "/l?next=" + quote("/e?m=" + quote(t, safe=""))),
    "form": lambda t: _page(urlencode({"e": t}), "application/x-www-form-urlencoded"),
    "entities": lambda t: _page(_codes(t, "&#x{:x};")),
    "json escapes": lambda t: _page(_codes(t, "\\u{:04x}"), "application/json"),
    "json in json": lambda t: json.dumps(json.dumps({"e": json.dumps(t)})),
    "script escapes": lambda t: _page("e='" + _codes(t, "\\x{:02x}") + "'", "text/javascript"),
    "code points": lambda t: _page("e='" + _codes(t, "\\u{{{:x}}}") + "'", "text/javascript"),
    "bytes": lambda t: {"e": repr(t.encode())},
    "utf-7": lambda t: _page(t.encode("utf-7").decode(), "text/html; charset=utf-7"),
    "utf-32": lambda t: _data(t.encode("utf-32"), "text/plain; charset=utf-32"),
    "latin-1": lambda t: _data(("\xe9 " + t).encode("latin-1", "replace"), "text/plain"),
    "code page": lambda t: _data(t.encode("cp037", "replace"), "text/plain; charset=cp037"),
    "part in base64": lambda t: _part(_TRANSFER + b"base64", base64.encodebytes(t.encode())),
    "part quoted": lambda t: _part(
        _TRANSFER + b"quoted-printable", quopri.encodestring(t.encode())
    ),
    "part in gzip": lambda t: _part(b"content-encoding: gzip", gzip.compress(t.encode())),
    "gzip alone": lambda t: _data(gzip.compress(t.encode()), "application/gzip"),
    "gzip twice": lambda t: _data(gzip.compress(gzip.compress(t.encode()))),
    "gzip members": lambda t: _data(gzip.compress(b"fine") + gzip.compress(t.encode())),
    "zip": lambda t: _data(_zip(t), "application/zip"),
    "tar": lambda t: _data(_tar(t, "w")),
    "tar.gz": lambda t: _data(_tar(t, "w:gz")),
    "bz2": lambda t: _data(bz2.compress(t.encode())),
    "base64 twice": lambda t: {"blob": _b64(_b64(t))},
    "base64 of gzip": lambda t: {"blob": base64.b64encode(gzip.compress(t.encode())).decode()},
    "hexadecimal": lambda t: {"blob": t.encode().hex()},
    "base32": lambda t: {"blob": base64.b32encode(t.encode()).decode()},
    "token": lambda t: {"token": f"eyJhbGciOiJub25lIn0.{_b64(json.dumps({'e': t})).rstrip('=')}."},
    "events": lambda t: _page("".join(f"data: {x}\n" for x in t.splitlines()), "text/event-stream"),
    "frame": lambda t: _data(b"\x81\x7e\xff\xff" + t.encode()),
    "csv": lambda t: _page('id,e\n1,"' + t.replace('"', '""') + '"\n', "text/csv"),
    "sql": lambda t: {"sql": "insert into log values ('" + t.replace("'", "''") + "')"},
    "highlighted": lambda t: _page(f"<pre>{_marked(t)}</pre>"),
    "coloured": lambda t: {"e": "".join(f"\x1b[1;31m{word}\x1b[0m " for word in t.split(" "))},
    "capitals": lambda t: {"e": t.upper()},
    "list": lambda t: {"errors": [{"stack": t.splitlines()}], "data": None},
    "words": lambda t: {"error": re.split(r"[ \n]", t)},
    "signs": lambda t: {"error": list(t)},
    "signs in lines": lambda t: _page(json.dumps(list(t), indent=2), "application/json"),
    "signs of Python": lambda t: _page(repr(list(t)), "text/plain"),
    "drawn apart": lambda t: {"error": " ".join(t)},
    "numbers": lambda t: {"error": list(t.encode())},
    "pairs": lambda t: {"dump": t.encode().hex(" "), "other": t.encode().hex(":")},
    "backwards": lambda t: {"error": t[::-1]},
    "rot13": lambda t: {"error": codecs.encode(t, "rot13")},
    "base85": lambda t: {"blob": base64.b85encode(t.encode()).decode()},
    "base85 of zlib": lambda t: {"blob": base64.b85encode(zlib.compress(t.encode())).decode()},
    "ascii85": lambda t: {"blob": base64.a85encode(t.encode(), adobe=True).decode()},
    "z85": lambda t: {"blob": base64.b85encode(t.encode()).decode().translate(_Z85)},
    "uuencode": lambda t: _page(_uuencoded(t.encode()), "text/plain"),
    "zlib in haste": lambda t: _data(zlib.compress(t.encode(), 1)),
    "lzma": lambda t: _data(lzma.compress(t.encode(), format=lzma.FORMAT_ALONE)),
}
"""More ways out, by what packs or spells a text otherwise."""

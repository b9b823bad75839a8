"""Code that catches an exception, and answers with what it caught: kinds, phases, ways out."""

from __future__ import annotations

import base64
import gzip
import html
import json
import zlib
from typing import Any
from urllib.parse import quote

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

"""A function that fails in ways that would tell its caller of the inside: `{"how": name}`."""

import ctypes
import html
import os
import sqlite3
import sys
import time
import traceback

SECRET = "drill-planted-text"  # noqa: S105 - what must not reach a caller


class PlantedError(Exception):
    pass


def fail():
    raise PlantedError(SECRET)


def raises():
    fail()


def raises_from():
    try:
        fail()
    except PlantedError as error:
        raise RuntimeError("wrapped " + SECRET) from error


def group():
    raise ExceptionGroup("several", [PlantedError(SECRET), ValueError(SECRET)])


def trace_text():
    try:
        fail()
    except PlantedError:
        return traceback.format_exc()
    return None


def trace_in_json():
    try:
        fail()
    except PlantedError:
        return {"ok": False, "detail": {"trace": traceback.format_exc()}}
    return None


def trace_in_header():
    try:
        fail()
    except PlantedError:
        text = traceback.format_exc().replace("\n", " ")
        return {"statusCode": 500, "headers": {"x-error": text}, "body": "it failed"}
    return None


def debug_page():
    try:
        fail()
    except PlantedError:
        page = f"<html><pre>{html.escape(traceback.format_exc())}</pre></html>"
        return {"statusCode": 500, "headers": {"content-type": "text/html"}, "body": page}
    return None


def driver_error():
    try:
        sqlite3.connect(":memory:").execute("SELECT * FROM planted_table")
    except sqlite3.Error as error:
        return {"error": str(error)}
    return None


def own_path():
    return {"error": f"cannot read {__file__}, line 7"}


def exits():
    print(SECRET, file=sys.stderr)
    sys.exit(SECRET)


def dies():
    os.write(2, SECRET.encode())
    os._exit(3)


def recursion():
    return recursion()


def no_answer():
    return PlantedError(SECRET)


def too_late():
    time.sleep(30)


def too_much_memory():
    return len(bytearray(1 << 30))


def mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    return {"result": libc.syscall(165, b"tmpfs", b"/tmp", b"tmpfs", 0, None)}


WAYS = {
    each.__name__: each
    for each in (
        raises, raises_from, group, trace_text, trace_in_json, trace_in_header, debug_page,
        driver_error, own_path, exits, dies, recursion, no_answer, too_late, too_much_memory, mounts,
    )
}  # fmt: skip


def handler(event, context):
    if event.get("how") == "well":
        return {"ok": True}
    return WAYS[event["how"]]()

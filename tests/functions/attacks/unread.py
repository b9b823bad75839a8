"""A function that asks its host for much and reads none of it: `{"attack": name, ...}`."""

import contextlib
import json
import os
import socket
import struct
import time

HEADER = struct.Struct("!cII")
GATEWAY = 3
DENIED = {"op": "bucket.get", "bucket": "files", "key": "large"}


def frame(kind, head, body=b""):
    text = json.dumps(head).encode()
    return HEADER.pack(kind, len(text), len(body)) + text + body


def keep_sending(data, seconds):
    """Send for as long as somebody reads; return how many bytes went."""
    sent, end = 0, time.monotonic() + seconds
    with socket.socket(fileno=os.dup(GATEWAY)) as sock, contextlib.suppress(OSError):
        sock.settimeout(0.2)
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                sent += sock.send(data)
    return sent


def many(seconds):
    """As many requests as fit."""
    return keep_sending(frame(b"C", {"n": 1, **DENIED}) * 500, seconds)


def few(seconds):
    """No more than may be under way, and then nothing."""
    with socket.socket(fileno=os.dup(GATEWAY)) as sock:
        sock.sendall(frame(b"C", {"n": 1, **DENIED}) * 4)
    time.sleep(seconds)


def denied(seconds):
    """Read each reply, and ask for the next that is denied."""
    asked, end = 0, time.monotonic() + seconds
    with socket.socket(fileno=os.dup(GATEWAY)) as sock:
        while time.monotonic() < end:
            sock.sendall(frame(b"C", {"n": 1, **DENIED}))
            sock.recv(65536)
            asked += 1
    return asked


def lines(seconds):
    """Log lines that nobody keeps."""
    return keep_sending(frame(b"L", {"level": "info", "at": 1.0}) * 500, seconds)


def far_lines(seconds):
    """Log lines with times that are slow to read."""
    return keep_sending(frame(b"L", {"level": "info", "at": 1e308}) * 500, seconds)


def long_lines(seconds):
    return keep_sending(frame(b"L", {"level": "x" * 200_000, "at": 1.0}), seconds)


def drip(seconds):
    """One byte at a time of a request that is never whole."""
    end = time.monotonic() + seconds
    with socket.socket(fileno=os.dup(GATEWAY)) as sock:
        sock.sendall(HEADER.pack(b"C", 10, 8 << 20))
        while time.monotonic() < end:
            sock.send(b"x")


ATTACKS = {each.__name__: each for each in (many, few, denied, lines, far_lines, long_lines, drip)}


def handler(event, context):
    return ATTACKS[event["attack"]](event["seconds"])

"""A function that holds secrets and may reach one address, at which nobody listens: `{"do": name}`."""

import contextlib
import ctypes
import hashlib
import os
import socket

import casemate

_PROXY = ("127.0.0.1", 3128)


def connect_to(sock, host, port):
    """Say what the proxy answers."""
    where = f"{host}:{port}"
    sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
    return sock.recv(64).split(b" ")[1].decode()


def secret(event, context):
    try:
        value = context.secret_bytes("drill-key")
    except casemate.DeniedError:
        return {"denied": True}
    return {"digest": hashlib.sha256(value).hexdigest()}


def collect(event, context):
    read = 0
    for name in event["names"]:
        with contextlib.suppress(casemate.DeniedError):
            read += bool(context.secret_bytes(name))
    return {"read": read}


def reach(event, context):
    """Say what the proxy answers: that nobody listens there, or that it is not to be reached."""
    with socket.create_connection(_PROXY, timeout=5) as sock:
        return {"status": connect_to(sock, "127.0.0.1", 9)}


def connect(event, context):
    found = []
    for host, port in event["to"]:
        with contextlib.suppress(OSError, IndexError):
            with socket.create_connection(_PROXY, timeout=2) as sock:
                found.append(connect_to(sock, host, port))
    return {"found": found}


def outside(event, context):
    """Read an object outside of the prefix that is granted."""
    with contextlib.suppress(casemate.DeniedError):
        context.bucket("files").get("out/a")
    return {}


def run(event, context):
    return {"status": os.system("echo " + event["text"])}


def mount(event, context):
    libc = ctypes.CDLL(None, use_errno=True)
    return {"result": libc.syscall(165, b"tmpfs", b"/tmp", b"tmpfs", 0, None)}


DO = {each.__name__: each for each in (secret, collect, reach, connect, outside, run, mount)}


def handler(event, context):
    return DO[event["do"]](event, context)

"""Times requests to a local server: in the sandbox by the proxy, or, run as a program, directly."""

import json
import socket
import sys
import time
import urllib.request

REQUEST = b"x" * 100


def connection(port):
    """Return a connection that sends at once."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def kept(port, count):
    """Yield the seconds of requests over one connection."""
    with connection(port) as sock:
        for _ in range(count):
            started = time.perf_counter()
            sock.sendall(REQUEST)
            sock.recv(4096)
            yield time.perf_counter() - started


def new(port, count):
    """Yield the seconds of a connection with one request."""
    for _ in range(count):
        started = time.perf_counter()
        with connection(port) as sock:
            sock.sendall(REQUEST)
            sock.recv(4096)
        yield time.perf_counter() - started


def http(port, count):
    """Yield the seconds of a GET with urllib, which goes by the proxy where there is one."""
    for _ in range(count):
        started = time.perf_counter()
        with urllib.request.urlopen(f"http://localhost:{port}/", timeout=10) as answer:
            answer.read()
        yield time.perf_counter() - started


KINDS = {"kept": kept, "new": new, "http": http}


def handle(event, context=None):
    """Return the microseconds of `count` requests, after a few to warm up."""
    run, port = KINDS[event["kind"]], event["port"]
    list(run(port, 10))
    return [taken * 1e6 for taken in run(port, event["count"])]


if __name__ == "__main__":
    json.dump(handle(json.loads(sys.argv[1])), sys.stdout)

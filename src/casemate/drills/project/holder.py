"""A function that holds a secret and may reach one address, at which nobody listens: `{"do": name}`."""

import hashlib
import socket

import casemate

_ASK = b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n"


def secret(context):
    try:
        value = context.secret_bytes("drill-key")
    except casemate.DeniedError:
        return {"denied": True}
    return {"digest": hashlib.sha256(value).hexdigest()}


def reach(context):
    """Say what the proxy answers: that nobody listens there, or that it is not to be reached."""
    with socket.create_connection(("127.0.0.1", 3128), timeout=5) as sock:
        sock.sendall(_ASK)
        return {"status": sock.recv(64).split(b" ")[1].decode()}


def handler(event, context):
    return {"secret": secret, "reach": reach}[event["do"]](context)

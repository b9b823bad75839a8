"""A function that reaches for the network with the standard library: `{"do": name, ...}`."""

import errno
import os
import socket
import ssl
import time
import urllib.error
import urllib.request

EARLY = {}
"""What came of connecting at import, by port."""
KEEP_EARLY = False
"""Keep them open, which is an error of the import."""
EARLY_SOCKETS = []
for _port in (3128, 16001):
    _sock = socket.socket()
    _sock.settimeout(1)
    try:
        _sock.connect(("127.0.0.1", _port))
        if _port == 3128:
            _sock.sendall(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n")
        EARLY[_port] = _sock.recv(200).decode("latin-1")
    except OSError as _error:
        EARLY[_port] = type(_error).__name__
    if KEEP_EARLY:
        EARLY_SOCKETS.append(_sock)
    else:
        _sock.close()


def connect_by_sending(port, call):
    """Connect without connect(2), and say how it fails."""
    with socket.socket() as sock:
        sock.setblocking(False)
        try:
            if call == "sendto":
                sock.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port))
            else:
                sock.sendmsg([b"x"], [], socket.MSG_FASTOPEN, ("127.0.0.1", port))
        except OSError as error:
            return errno.errorcode[error.errno]
        return "sent"


EARLY_SENT = [connect_by_sending(3128, call) for call in ("sendto", "sendmsg")]


def get(context, url, body=None):
    try:
        data = None if body is None else body.encode()
        with urllib.request.urlopen(url, data=data, timeout=8) as answer:
            return {"status": answer.status, "text": answer.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "text": error.read().decode()}
    except urllib.error.URLError as error:
        return {"error": str(error.reason)}
    except OSError as error:
        return {"error": str(error)}


def secure(context, url, authority):
    trust = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(url, timeout=8, context=trust) as answer:
            return {"status": answer.status, "text": answer.read().decode()}
    except OSError as error:
        return {"error": str(error)}


def connect(context, port, address="127.0.0.1"):
    """Connect past the proxy, and say how it fails."""
    try:
        with socket.create_connection((address, port), 3) as sock:
            sock.settimeout(1)
            try:
                return {"connected": True, "data": sock.recv(10).decode("latin-1")}
            except OSError as error:
                return {"connected": True, "error": type(error).__name__}
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno, type(error).__name__)}


def early(context):
    """Tell what came of the connections at import."""
    return {"early": EARLY}


def fast_open(context, port):
    """Connect past Landlock, in the call and at import."""
    return {
        "sent": [connect_by_sending(port, call) for call in ("sendto", "sendmsg")],
        "early": EARLY_SENT,
    }


def hold(context, port, seconds):
    """Keep a connection open by a forward, and wait."""
    sock = socket.create_connection(("127.0.0.1", port), 3)
    sock.sendall(b"held")
    sock.recv(4)
    print("holding", flush=True)
    time.sleep(seconds)
    return {"alive": sock.fileno() >= 0}


def leave_open(context, port):
    sock = socket.create_connection(("127.0.0.1", port), 3)
    sock.sendall(b"left")
    sock.recv(4)
    os.dup(sock.detach())
    return {}


def variables(context):
    return {name: value for name, value in os.environ.items() if "proxy" in name.lower()}


DO = {f.__name__: f for f in (get, secure, connect, early, fast_open, hold, leave_open, variables)}


def handler(event, context):
    return DO[event.pop("do")](context, **event)

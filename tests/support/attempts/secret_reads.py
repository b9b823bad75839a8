"""Secrets of others are to be read: by code that is granted another, by those who may not, by what is written down."""

from __future__ import annotations

import secrets
import time
from functools import partial

from support.node import TestNode

from . import Attempt, Attempts, BrokenAttemptError, shown, tried
from .kernel import BROKEN
from .others import Somebody, nobody, owner

APP = """
import base64, json, os, sys, traceback, urllib.parse, zlib
def fails(held):
    raise ValueError('x')
def handler(event, context):
    names = globals() | {"context": context, "event": event}
    if "do" in event:
        exec(event["do"], names)
        return "done"
    try:
        return {"said": repr(eval(event["ask"], names))[:400]}
    except Exception as error:
        return {"error": type(error).__name__}
"""
GRANTS = 'secrets = ["mine"]'
READS = {
    # What a function that is granted `mine` says to have the other's.
    "another's name": "context.secret('theirs')",
    "the other project's, by a path": "context.secret('../shopa/theirs')",
    "the other project's, by its name": "context.secret('shopa/theirs')",
    "by an encoded path": "context.secret('..%2fshopa%2ftheirs')",
    "a name with NUL": "context.secret('theirs\\0mine')",
    "the granted name, then NUL": "context.secret('mine\\0/../theirs')",
    "in capitals": "context.secret('THEIRS')",
    "a name in full width": "context.secret('\\uff54heirs')",
    "an empty name": "context.secret('')",
    "all names": "context.secret('*')",
    "a name with a line": "context.secret('mine\\ntheirs')",
    "a name that is no text": "context.secret(['mine', 'theirs'])",
    "a name that is a mapping": "context.secret({'name': 'theirs'})",
    "a version of it": "context.secret('theirs', version=1)",
    "a version below one": "context.secret('theirs', version=-1)",
    "a version that is a path": "context.secret('mine', version='../theirs/1')",
    "a version that is true": "context.secret('theirs', version=True)",
    "as bytes": "context.secret_bytes('theirs')",
    "by the environment": "[v for v in os.environ.values()]",
    "by files": "[open(os.path.join(d, f), errors='replace').read(300) for d, _, fs in os.walk('/function') for f in fs[:9]]",
    "by objects that are there": "[o for o in __import__('gc').get_objects() if isinstance(o, (str, bytes)) and len(o) == 40]",
}
PRINTS = {
    # What redaction says that it finds; {0} is the value.
    "as it is": "print(context.secret('mine'))",
    "between letters": "print('x' + context.secret('mine') + 'y')",
    "in base64": "print(base64.b64encode(b'ab' + context.secret_bytes('mine')).decode())",
    "in base64 for URLs": "print(base64.urlsafe_b64encode(b'a' + context.secret_bytes('mine')).decode())",
    "in hexadecimal": "print(context.secret_bytes('mine').hex().upper())",
    "percent-encoded": "print(''.join('%%%02x' % b for b in context.secret_bytes('mine')))",
    "in JSON's escapes": "print(''.join('\\\\u%04x' % b for b in context.secret_bytes('mine')))",
    "by a repr of bytes": "print([context.secret_bytes('mine')])",
    "to standard error": "print(context.secret('mine'), file=sys.stderr)",
    "by a descriptor": "os.write(1, context.secret_bytes('mine') + b'\\n')",
    "in two writes of a line": "s = context.secret_bytes('mine'); os.write(1, s[:9]); os.write(1, s[9:] + b'\\n')",
    "by the context's log": "context.log.info('x', key=context.secret('mine'))",
    "as a field's name": "context.log.info('x', **{context.secret('mine'): 1})",
    "by an error": "raise ValueError(context.secret('mine'))",
    "by an error's cause": "try: raise KeyError(context.secret('mine'))\nexcept KeyError as e: raise ValueError('x') from e",
    "by an error's note": "e = ValueError('x'); e.add_note(context.secret('mine')); raise e",
    "by a variable of a failing frame": "fails(context.secret('mine'))",
    "by a part of such a variable": "fails({'a': ['x', (1, context.secret('mine'))]})",
    "by bytes in such a variable": "fails(context.secret_bytes('mine') + b'x')",
    "by a class's name": "raise type(context.secret('mine'), (Exception,), {})('x')",
}
WAYS = {
    "its value by the API": ("GET", "/secrets/shopa/theirs"),
    "its version's value": ("GET", "/secrets/shopa/theirs/versions/1"),
    "a rotation": ("POST", "/secrets/shopa/theirs/rotate"),
    "an older value again": ("POST", "/secrets/shopa/theirs/revert"),
    "another name for the project": ("GET", "/secrets/shopb/../shopa/theirs"),
    "its removal": ("DELETE", "/secrets/shopa/theirs"),
}


def read(node: TestNode, code: str, theirs: str) -> tuple[bool, str]:
    """Ask a function that may read another secret."""
    answer = node.invoke({"ask": code}, function="shopb/f")
    if any(one in answer.text for one in BROKEN):
        raise BrokenAttemptError(f"{code}: {answer.text}")
    return theirs in answer.text, f"{answer.status_code} {answer.text[:120]}"


def written(own: Somebody, code: str, mine: str) -> tuple[bool, str]:
    """Have a value written down; look in all that is kept of the call.

    Raises BrokenAttemptError: nothing is kept of it.
    """
    answer = own.node.invoke({"do": code}, function="shopb/f")
    ran = answer.headers["x-request-id"]
    kept = answer.text
    places = [f"/logs?project=shopb&function=f&invocation={ran}&limit=50"]
    if answer.status_code != 200:
        error = answer.json()["error_id"]
        places += [f"/errors/{error}", f"/errors/shopb/{error}/snapshot"]
    end = time.monotonic() + 8
    while "redacted" not in kept and mine not in kept and time.monotonic() < end:
        time.sleep(0.3)
        kept = answer.text + "".join(own.ask("GET", place).text for place in places)
    seen = [form for form in forms(mine) if form in kept.lower()]
    if not seen and "redacted" not in kept:
        raise BrokenAttemptError(f"{code}: {answer.status_code} {kept[:200]}")
    return bool(seen), f"{answer.status_code} {seen} {kept[:60]}"


def forms(value: str) -> list[str]:
    """Return what tells a value that is written in another way, or a good part of it."""
    data = value.encode()
    return [
        value[:16].lower(),
        value[16:].lower(),
        data[:12].hex(),
        "".join(f"%{b:02x}" for b in data[:8]),
        "".join(f"\\u{b:04x}" for b in data[:8]),
    ]


def attempts(node: TestNode) -> Attempts:
    """Try all: by code, by those of another project, by what is written down."""
    own = owner(node)
    mine, theirs = (secrets.token_hex(20) for _ in range(2))
    own.keeps("shopb", "mine", mine.encode())
    own.keeps("shopa", "theirs", theirs.encode())
    own.keeps("shopb", "theirs", theirs.encode())
    node.deploy(APP, project="shopb", grants=GRANTS, approve=True, unguarded=True)
    told = node.invoke({"ask": "context.secret('mine')[::-1]"}, function="shopb/f").text
    yield from shown("one's own secret", mine[::-1] in told, told)
    for name, code in READS.items():
        yield tried(f"a function: {name}", partial(read, node, code, theirs))
    for name, code in PRINTS.items():
        yield tried(f"written down: {name}", partial(written, own, code, mine))
    for role in ("developer@shopb", "owner@shopb", "invoker@shopa", ""):
        who = own.made(role) if role else nobody(node)
        for name, (method, path) in WAYS.items():
            answer = who.ask(method, path)
            yield Attempt(
                f"{role or 'nobody'}: {name}",
                answer.status_code < 300 or theirs in answer.text,
                f"{answer.status_code} {answer.text[:60]}",
            )
    got = own.ask("GET", "/secrets/shopa/theirs")
    yield from shown("the path is its own", got.status_code == 200, got.text[:90])
    yield Attempt("its value, by an owner of the node", theirs in got.text, got.text[:90])

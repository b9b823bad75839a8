"""Ways to make a client, to carry it and to call it, one with each other: none hides a call.

Each has a twin that calls something else: there, what is granted is told to be needless.
"""

from __future__ import annotations

from itertools import product

import pytest

from casemate.audit.code.reading import Code
from casemate.audit.model import Function, Place, Platform, Statement
from casemate.audit.privileges.finding_out import _needs
from casemate.audit.privileges.needs import Needs
from casemate.audit.privileges.program import Files
from casemate.audit.privileges.state import Readers
from casemate.audit.workspace import Workspace

MAKE = {
    "client": "boto3.client('sqs')",
    "session": "boto3.session.Session().client('sqs', region_name='x')",
    "named": "boto3.client(service_name='s' + 'qs')",
    "helper": "made('sqs')",
    "choice": "(boto3.client('sqs') if event else None)",
    "default": "(event.get('q') or boto3.client('sqs'))",
    "called": "(lambda: boto3.client('sqs'))()",
    "getattr": "getattr(boto3, 'client')('sqs')",
}
CARRY = {
    "name": "q = {make}\n    use(q, event)",
    "list": "q = [{make}]\n    for each in q:\n        use(each, event)",
    "map": "q = {{'a': {make}}}\n    use(q['a'], event)",
    "copied": "q = dict(a={make})\n    r = {{**q}}\n    use(r.get('a'), event)",
    "object": "h = Holder({make})\n    use(h.held, event)",
    "method": "Holder({make}).go(event)",
    "closure": "q = {make}\n    def inner():\n        use(q, event)\n    inner()",
    "thread": "Thread(target=use, args=({make}, event)).start()",
    "pool": "list(Pool().map(lambda e: use({make}, e), [event]))",
    "keywords": "use(**{{'client': {make}, 'event': event}})",
    "star": "use(*[{make}, event])",
    "global": "global kept\n    kept = {make}\n    by_global(event)",
    "module": "other.kept = {make}\n    other.go(use, event)",
    "yielded": "def each():\n        yield {make}\n    for q in each():\n        use(q, event)",
    "with": "with held({make}) as q:\n        use(q, event)",
    "raised": "try:\n        raise Carrier({make})\n    except Carrier as error:\n        use(error.args[0], event)",
    "returned": "use((lambda a: a)({make}), event)",
    "attribute": "handler.q = {make}\n    use(handler.q, event)",
}
CALL = {
    "plain": "client.{method}(QueueUrl='u')",
    "getattr": "getattr(client, '{method}')(QueueUrl='u')",
    "kept": "f = client.{method}\n    f(QueueUrl='u')",
    "partial": "partial(client.{method}, QueueUrl='u')()",
    "map": "{{'f': client.{method}}}['f'](QueueUrl='u')",
    "comprehension": "[client.{method}(QueueUrl=u) for u in event]",
    "passed": "(lambda f: f(QueueUrl='u'))(client.{method})",
}
PROGRAM = """\
import boto3
import other
from concurrent.futures import ThreadPoolExecutor as Pool
from contextlib import contextmanager
from functools import partial
from threading import Thread

kept = None

class Carrier(Exception):
    pass

class Holder:
    def __init__(self, held):
        self.held = held
    def go(self, event):
        use(self.held, event)

@contextmanager
def held(what):
    yield what

def made(name):
    return boto3.client(name)

def by_global(event):
    use(kept, event)

def use(client, event):
    {call}

def handler(event, context):
    {carry}
"""
OTHER = "kept = None\ndef go(use, event):\n    use(kept, event)\n"
EVERY = list(product(MAKE, CARRY, CALL))


def needs(make: str, carry: str, call: str, method: str) -> Needs:
    program = PROGRAM.format(
        call=CALL[call].format(method=method), carry=CARRY[carry].format(make=MAKE[make])
    )
    workspace = Workspace.of({"app.py": program, "other.py": OTHER})
    function = Function(
        name="f",
        platform=Platform.AWS,
        runtime="python3.13",
        handler="app.handler",
        code=".",
        files=("app.py", "other.py"),
        entry="app.py",
        permissions=(Statement(actions=("sqs:*",), resources=("*",), place=Place("t")),),
        place=Place("t"),
    )
    return _needs(function, Files(workspace.files), Code(workspace))


def check(make: str, carry: str, call: str) -> None:
    found = needs(make, carry, call, "send_message")
    needed = {each.action for each in found.uses}
    assert needed == {"sqs:SendMessage"} or found.open or found.lost, (make, carry, call)
    twin = needs(make, carry, call, "list_queues")
    assert "sqs:SendMessage" not in {each.action for each in twin.uses}


@pytest.mark.parametrize("part", range(8))
def test_no_way_hides_a_call(part: int) -> None:
    for make, carry, call in EVERY[part * 5 :: 40]:
        check(make, carry, call)


@pytest.mark.storm
def test_no_way_of_all_hides_a_call() -> None:
    for make, carry, call in EVERY:
        check(make, carry, call)


def test_most_ways_are_decided() -> None:
    every = [needs(*each, "send_message") for each in EVERY[::17]]
    decided = [each for each in every if not each.open and not each.lost]
    assert len(decided) > 0.85 * len(every)


def test_reading_again_only_what_may_tell_more_finds_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = EVERY[::9]
    found = [needs(*each, "send_message") for each in some]
    once = Readers.is_read

    def again(self: Readers, part: str | int) -> bool:
        self.dirty.add(part)
        return once(self, part)

    monkeypatch.setattr(Readers, "is_read", again)
    assert [needs(*each, "send_message") for each in some] == found

"""Programs that are made to mislead or to cost: nothing is decided then, and no time is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.unit.audit.privileges.privileges_corpus import Program
from tests.unit.audit.privileges.test_privileges_corpus import privileges

from casemate.audit.privileges import finding_out, reader, reading

HEAD = "import boto3\ndef handler(event, context):\n"
DEEP = "    x = " + "(" * 80 + "boto3.client('sqs')" + ")" * 80 + "\n"


def program(code: str, granted: str = "sqs:SendMessage") -> Program:
    return Program("hostile", granted, "", code)


@pytest.mark.parametrize(
    "code",
    [
        "def handler(event, context)\n    pass\n",
        "print 'old'\n",
        "handler = 1 +\n",
        HEAD + "    x = " + "-" * 5_000 + "1\n",
        HEAD + "    return " + "+".join(["'a'"] * 20_000) + "\n",
    ],
)
def test_code_that_cannot_be_read_decides_nothing(code: str) -> None:
    found = privileges(program(code))
    assert found.surplus == () and {each.service for each in found.undecided} == {"*"}


@pytest.mark.parametrize(
    "code",
    [
        HEAD + "    f = boto3.client\n    f('sqs').send_message(QueueUrl='a', MessageBody='b')\n",
        HEAD + "    vars(boto3)['client']('sqs').send_message()\n",
        HEAD + "    boto3.__dict__['client']('sqs').send_message()\n",
        HEAD + "    c = boto3.client('s' + 'qs')\n    c.send_message()\n",
        HEAD + "    c = boto3.client(''.join(['s', 'qs']))\n    c.send_message()\n",
        HEAD + "    c = boto3.client(event.get('x') or 'sqs')\n    c.send_message()\n",
        HEAD
        + "    import importlib\n    importlib.import_module('boto3').client('sqs').send_message()\n",
        HEAD + "    __import__(event['m']).client('sqs').send_message()\n",
        HEAD + "    m = {'c': boto3}\n    m['c'].client('sqs').send_message()\n",
        HEAD + "    exec('boto3.client(\"sqs\").send_message()')\n",
        HEAD + "    c = type('X', (), {'q': boto3.client('sqs')})\n    c.q.send_message()\n",
        HEAD + "    print(boto3.client('sqs').send_message())\n",
        HEAD + "    [c.send_message() for c in (boto3.client('sqs'),)]\n",
        HEAD
        + "    try:\n        raise ValueError\n    finally:\n        boto3.client('sqs').send_message()\n",
        HEAD
        + "    globals()['c'] = boto3.client('sqs')\n    go()\ndef go():\n    c.send_message()\n",
        HEAD + "    event['c'] = boto3.client('sqs')\n    event['c'].send_message()\n",
        HEAD + "    handler.c = boto3.client('sqs')\n    handler.c.send_message()\n",
        HEAD + "    import os\n    os.system('aws sqs send-message')\n",
        HEAD + "    import subprocess\n    subprocess.run(event['cmd'])\n",
        "import boto3\nclass A:\n    def __getattr__(self, n):\n        return getattr(boto3.client('sqs'), n)\n"
        "def handler(event, context):\n    A().send_message()\n",
        "import boto3\nclass A(dict):\n    def __missing__(self, k):\n        return boto3.client(k)\n"
        "def handler(event, context):\n    A()['sqs'].send_message()\n",
        "import boto3\nclass A:\n    def __call__(self):\n        return boto3.client('sqs')\n"
        "def handler(event, context):\n    A()().send_message()\n",
        "import boto3\ndef handler(event, context, c=boto3.client('sqs')):\n    c.send_message()\n",
        "import boto3\nhandler = lambda event, context: boto3.client('sqs').send_message()\n",
        "import boto3\nclass H:\n    def __call__(self, event, context):\n"
        "        boto3.client('sqs').send_message()\nhandler = H()\n",
        "import boto3\nclass H:\n    @classmethod\n    def go(cls, event, context):\n"
        "        boto3.client('sqs').send_message()\nhandler = H.go\n",
        "import boto3, atexit\ndef handler(event, context): pass\n"
        "atexit.register(lambda: boto3.client('sqs').send_message())\n",
        "import boto3\nfrom threading import Thread\ndef go(c): c.send_message()\n"
        "def handler(event, context):\n    Thread(target=go, args=(boto3.client('sqs'),)).start()\n",
        "import boto3\ndef outer(f):\n    return lambda e, c: f(boto3.client('sqs'), e)\n"
        "@outer\ndef handler(client, event):\n    client.send_message()\n",
        "import boto3\nclass Meta(type):\n    def __call__(cls, *a):\n"
        "        boto3.client('sqs').send_message()\nclass X(metaclass=Meta): pass\n"
        "def handler(event, context):\n    X()\n",
        "import boto3\nasync def go():\n    async for c in gen():\n        c.send_message()\n"
        "async def gen():\n    yield boto3.client('sqs')\n"
        "def handler(event, context):\n    import asyncio\n    asyncio.run(go())\n",
        "import boto3\nfrom operator import methodcaller\ndef handler(event, context):\n"
        "    methodcaller('send_message')(boto3.client('sqs'))\n",
        "import boto3\ndef handler(event, context):\n    a, *b = 1, boto3.client('sqs')\n"
        "    b[0].send_message()\n",
        "import boto3\nclass D:\n    def __get__(self, o, t=None):\n        return boto3.client('sqs')\n"
        "class A:\n    q = D()\ndef handler(event, context):\n    A().q.send_message()\n",
        "import boto3, copy\ndef handler(event, context):\n"
        "    copy.copy(boto3.client('sqs')).send_message()\n",
        "import boto3\ndef handler(event, context):\n"
        "    d = {}\n    d.setdefault('q', boto3.client('sqs'))\n    d.get('q').send_message()\n",
        "import boto3\ndef handler(event, context):\n"
        "    for n, c in {'q': boto3.client('sqs')}.items():\n        c.send_message()\n",
        "import boto3\ndef handler(event, context):\n"
        "    (lambda *a, **k: k['c'].send_message())(c=boto3.client('sqs'))\n",
        "import boto3\nfrom collections import namedtuple\nT = namedtuple('T', 'q')\n"
        "def handler(event, context):\n    T(boto3.client('sqs')).q.send_message()\n",
        "import boto3\nfrom types import SimpleNamespace\n"
        "def handler(event, context):\n    SimpleNamespace(q=boto3.client('sqs')).q.send_message()\n",
    ],
)
def test_a_call_that_hides_is_never_taken_for_surplus(code: str) -> None:
    assert privileges(program(code)).needless == ()


@pytest.mark.parametrize(
    "code",
    [
        HEAD + DEEP,
        HEAD + "".join(f"    x{n} = x{n - 1} = [x{n - 1}]\n" for n in range(1, 400)),
        HEAD + "    x = []\n" + "    x = [x, x]\n" * 400,
        "import boto3\n"
        + "".join(f"def f{n}(x): return f{n + 1}(x) or f{n}(x)\n" for n in range(600))
        + "def f600(x): return x\ndef handler(event, context): f0(boto3.client('sqs'))\n",
        HEAD + "    x = ''\n" + "    x = x + event['a'] + 'b'\n" * 300,
        HEAD + "    x = event['a'] or 'b'\n" + "    x = f'{x}{x}{x}'\n" * 100,
        "import boto3\n"
        + "class C0: pass\n"
        + "".join(f"class C{n}(C{n - 1}, dict): pass\n" for n in range(1, 300))
        + "def handler(event, context): C299().x\n",
        HEAD
        + "    x = {}\n"
        + "".join(f"    x['{n}'] = x\n    y = x.items()\n" for n in range(300)),
        HEAD + "    s = [" + ", ".join(f"boto3.client('sqs', x={n})" for n in range(2_000)) + "]\n",
    ],
)
def test_what_is_made_to_cost_is_bounded(code: str) -> None:
    began = time.thread_time()
    privileges(program(code))
    assert time.thread_time() - began < 10


def test_what_an_application_costs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_out, "MAX_SECONDS", 0.0)
    found = privileges(program(HEAD + "    pass\n"))
    assert found.surplus == ()
    assert [each.what for each in found.undecided] == [
        "the time for its application was used up before"
    ]


def test_the_bounds_are_those_that_are_documented() -> None:
    page = (Path(__file__).parents[4] / "docs/reference/audit.md").read_text()
    told = " ".join(page.split())
    assert (
        f"at most {reading.MAX_SECONDS:.0f} s of processor time and {reading.MAX_ROUNDS} rounds"
        in told
    )
    assert f"with {reader.MAX_FUNCTIONS:,} functions" in told
    assert f"an application for {finding_out.MAX_SECONDS:.0f} s" in told

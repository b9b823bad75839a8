"""Data that something checked, and data that only seems to be: models, beginnings, signatures."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry, analyse


def weak(body: str, head: str = "") -> list[str]:
    code = f"import json\n{head}\n\ndef handler(event, context):\n    x = event['x']\n"
    code += "".join(f"    {line}\n" for line in body.split("\n"))
    found = analyse({"app.py": code}, [Entry(path="app.py", name="handler")])
    assert not found.unresolved
    return [each.weakness for each in found.flows]


MODEL = """
from typing import Annotated, Optional
from uuid import UUID
from pydantic import BaseModel, Field, StringConstraints, constr
class Base(BaseModel):
    name: str = Field(pattern=r"^[a-z0-9]{1,32}$")
class Order(Base):
    kind: constr(pattern="^[a-z]+$")
    part: Annotated[str, StringConstraints(pattern=r"\\A[a-z]+\\Z")]
    amount: Optional[int]
    key: UUID
    loose: str = Field(pattern="[a-z]+$")
    open_end: str = Field(pattern="^[a-z]+")
    sign: str = Field(pattern="^[a-z/.]+$")
    free: str
class Plain:
    name: str = Field(pattern="^[a-z]+$")
"""


@pytest.mark.parametrize(
    ("made", "field", "found"),
    [
        *(
            ("Order.model_validate_json(x)", f, 0)
            for f in ("name", "kind", "part", "amount", "key")
        ),
        *(("Order.model_validate_json(x)", f, 1) for f in ("loose", "open_end", "sign", "free")),
        ("Order.model_validate(json.loads(x))", "name", 0),
        ("Order.model_validate(json.loads(x))", "free", 1),
        ("Order.parse_raw(x)", "kind", 0),
        ("json.loads(x)", "get('name')", 1),
        ("Plain.model_validate_json(x)", "name", 1),
    ],
)
def test_a_model_says_what_its_fields_cannot_have(made: str, field: str, found: int) -> None:
    assert weak(f"m = {made}\nopen(f'/srv/{{m.{field}}}')", MODEL) == ["path"] * found


ROUTE = (
    MODEL
    + """
from fastapi import FastAPI
app = FastAPI()
@app.post("/a")
def a(order: Order):
    open(f"/srv/{order.FIELD}")
"""
)


@pytest.mark.parametrize(("field", "found"), [("name", 0), ("amount", 0), ("free", 1), ("sign", 1)])
def test_a_route_gets_a_model_that_was_checked(field: str, found: int) -> None:
    code = ROUTE.replace("FIELD", field)
    entry = Entry(path="app.py", name="a", shape="route")
    flows = analyse({"app.py": code}, [entry]).flows
    assert [each.weakness for each in flows] == ["path"] * found


@pytest.mark.parametrize(
    ("begins", "found"),
    [
        ("('https://a.example/', 'https://b.example/')", 0),
        ("('https://a.example/', 'https://b.example')", 1),
        ("'https://a.example/'", 0),
        ("'https://a.example'", 1),
        ("('https://a.example/', x)", 1),
    ],
)
def test_each_beginning_has_to_name_a_host(begins: str, found: int) -> None:
    body = f"if x.startswith({begins}):\n    urllib.request.urlopen(x)"
    assert weak(body, "import urllib.request") == ["url"] * found


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("not x.startswith('/') or x.startswith('//') or '\\\\' in x", 0),
        ("not x.startswith('/') or x.startswith(('//', '/\\\\'))", 0),
        ("not x.startswith('/') or x.startswith('//')", 1),  # browsers read \\ as /
        ("x.startswith(('//', '/\\\\'))", 1),
        ("not x.startswith('/')", 1),
    ],
)
def test_a_path_of_its_own_is_no_redirect_elsewhere(wrong: str, found: int) -> None:
    body = f"if {wrong}:\n    x = '/'\nreturn {{'statusCode': 302, 'headers': {{'Location': x}}}}"
    assert weak(body) == ["redirect"] * found


SIGNED = "import base64, hashlib, hmac, pickle\nKEY = b'k'"


@pytest.mark.parametrize(
    ("signed", "read", "found"),
    [
        ("x.encode()", "base64.b64decode(x)", 0),
        ("x.encode()", "x", 0),
        ("event['y'].encode()", "base64.b64decode(x)", 1),
    ],
)
def test_what_is_signed_stays_so_when_it_is_decoded(signed: str, read: str, found: int) -> None:
    body = f"made = hmac.new(KEY, {signed}, hashlib.sha256).hexdigest()\n"
    body += f"if hmac.compare_digest(made, event['mac']):\n    pickle.loads({read})"
    assert weak(body, SIGNED) == ["deserialisation"] * found


def test_a_signature_makes_no_text_safe_for_a_shell() -> None:
    body = "made = hmac.new(KEY, x.encode(), hashlib.sha256).hexdigest()\n"
    body += "if hmac.compare_digest(made, event['mac']):\n    os.system(base64.b64decode(x))"
    assert weak(body, SIGNED + "\nimport os") == ["command"]


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("given or requests.Session()", 1),
        ("requests.Session() if given is None else given", 1),
        ("given and given.session or requests.Session()", 1),
        ("requests.Session() or given", 1),
        ("given or None", 0),
    ],
)
def test_what_or_makes_is_there_afterwards(made: str, found: int) -> None:
    head = f"import requests\nclass Gateway:\n    def __init__(self, given=None):\n        self.session = {made}\n"
    head += (
        "    def ask(self, host):\n        return self.session.get(f'https://{host}/', timeout=5)\n"
    )
    assert weak("Gateway().ask(x)", head) == ["url"] * found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("x.format(order=Order())", 1),
        ("x.format(context=context)", 1),
        ("x.format(f=helper)", 1),
        ("x.format(name='a', count=3)", 0),
        ("x.format(event['y'])", 0),
        ("'{o}'.format(o=Order())", 0),
    ],
)
def test_a_format_of_the_caller_reads_attributes(call: str, found: int) -> None:
    head = "class Order:\n    key = 'k'\ndef helper():\n    return 1\n"
    assert weak(f"return len({call})", head) == ["format"] * found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("torch.load(io.BytesIO(x))", 1),
        ("torch.load(io.BytesIO(x), weights_only=False)", 1),
        ("torch.load(io.BytesIO(x), weights_only=True)", 0),
    ],
)
def test_weights_alone_make_no_objects(call: str, found: int) -> None:
    assert weak(call, "import io, torch") == ["deserialisation"] * found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("log.info('name %s', str(json.loads(x)['a']))", 1),
        ("log.info('name %-20s of %d', str(json.loads(x)['a']), 3)", 1),
        ("log.info('100%% %s', str(json.loads(x)['a']))", 1),
        ("log.info('name %s', json.loads(x)['a'])", 0),
        ("log.info('name %r', json.loads(x)['a'])", 0),
        ("log.info('name %d', json.loads(x)['a'])", 0),
        ("log.info('name %s', len(x))", 0),
        ("log.info('name %s', re.sub(r'\\D', '', json.loads(x)['a'])[-4:])", 0),
        ("log.info('name %s', re.sub(r'\\d', '', json.loads(x)['a']))", 1),
    ],
)
def test_a_log_is_filled_with_texts(call: str, found: int) -> None:
    head = "import logging, re\nlog = logging.getLogger(__name__)"
    assert weak(call, head) == ["log"] * found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("blob.download_to_filename('/tmp/' + x)", 1),
        ("blob.upload_from_filename('/tmp/' + x)", 1),
        ("blob.download_to_filename('/tmp/in.jpg')", 0),
        ("boto3.client('s3').upload_file('/tmp/' + x, 'bucket', 'key')", 1),
        ("boto3.client('s3').upload_file('/tmp/a', 'bucket', x)", 0),
    ],
)
def test_files_that_clients_of_storage_read_and_write(call: str, found: int) -> None:
    head = "import boto3\nfrom google.cloud import storage\nblob = storage.Client().bucket('b').blob('n')"
    assert weak(call, head) == ["path"] * found


_SIGNING = (
    "import base64, hmac, os, pickle\nfrom cryptography.fernet import Fernet\n"
    "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey\n"
    "KEY = os.environ['KEY'].encode()\n"
    "def same(body, mark):\n    return hmac.compare_digest(hmac.new(KEY, body, 'x').digest(), mark)\n"
    "def opened(body, mark):\n    if not same(body, mark):\n        raise ValueError\n    return body\n"
    "def never(body, mark):\n    return True\n"
)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("if not same(x, event['m']):\n    return\npickle.loads(x)", []),
        ("if same(x, event['m']):\n    return\npickle.loads(x)", ["deserialisation"]),
        ("same(x, event['m'])\npickle.loads(x)", ["deserialisation"]),
        ("if not never(x, event['m']):\n    return\npickle.loads(x)", ["deserialisation"]),
        ("pickle.loads(opened(x, event['m']))", []),
        ("opened(event['y'], event['m'])\npickle.loads(x)", ["deserialisation"]),
        ("if hmac.new(KEY, x, 'x').digest() != event['m']:\n    return\npickle.loads(x)", []),
        ("if hmac.new(event['k'], x, 'x').digest() != event['m']:\n    return\npickle.loads(x)",
         ["deserialisation"]),
        ("pickle.loads(Fernet(KEY).decrypt(x))", []),
        ("Ed25519PublicKey.from_public_bytes(KEY).verify(event['m'], x)\npickle.loads(x)", []),
        ("Ed25519PublicKey.from_public_bytes(KEY).verify(x, event['m'])\npickle.loads(x)",
         ["deserialisation"]),
        ("Ed25519PublicKey.from_public_bytes(event['k']).verify(event['m'], x)\npickle.loads(x)",
         ["deserialisation"]),
        ("if not same(x, event['m']):\n    return\nos.system('ls ' + x)", ["command"]),
    ],
)  # fmt: skip
def test_data_of_who_has_the_key_is_read_as_objects(body: str, found: list[str]) -> None:
    assert weak(body, _SIGNING) == found

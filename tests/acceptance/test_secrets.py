"""Secrets end to end: set by the command line, read by a function that is granted them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from support import forked_cli
from support.node import TestNode
from support.package_index import fake_index

READER = """
def handler(event, context):
    text = context.secret("api-key")
    if event == "print":
        print("the key is", text)
    if event in ("raise", "raise in silence"):
        if event == "raise":
            print("before")
        raise ValueError(text)
    return {"length": len(text)}
"""
GRANTED = '[function.f.grants]\nsecrets = ["api-key"]'
VALUE = "correct horse battery staple"


def run(node: TestNode, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    return forked_cli.run_bytes(arguments, stdin=stdin, env=env, timeout=60)


def set_value(node: TestNode, value: str = VALUE, name: str = "t/api-key") -> None:
    done = run(node, "secrets", "set", name, stdin=value.encode())
    assert done.returncode == 0, done.stderr
    assert value.encode() not in done.stdout + done.stderr


EXTREME = """
NUMBERS = [0, -1, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**64, 10**30]


def handler(event, context):
    found = {}
    for number in NUMBERS:
        try:
            found[str(number)] = len(context.secret("api-key", version=number))
        except Exception as error:
            found[str(number)] = type(error).__name__
    return found
"""


def test_no_version_that_a_function_asks_for_ends_the_vault(node: TestNode) -> None:
    """Nor the gateway, which cannot be without it: the number may be an event's."""
    set_value(node)
    node.deploy(EXTREME, name="extreme", grants='secrets = ["api-key"]', approve=True)
    vault, processes = node.part("vault"), set(node.processes())
    found = node.invoke(None, function="t/extreme").json()
    assert set(found.values()) == {"InvalidError", "NotFoundError"}, found
    assert found[str(2**31 - 1)] == "NotFoundError"
    assert node.part("vault") == vault and processes <= {*node.processes()}
    assert "sent what is no message" not in node.errors.read_text()


def test_set_list_and_remove(node: TestNode) -> None:
    set_value(node, name="t/listed")
    listed = json.loads(run(node, "secrets", "ls", "t", "--json").stdout)
    assert "listed" in [info["name"] for info in listed["secrets"]]
    assert run(node, "secrets", "rm", "t/listed", "--yes").returncode == 0
    assert run(node, "secrets", "rm", "t/listed", "--yes").returncode == 3


def test_an_env_file_is_imported_all_or_none(node: TestNode) -> None:
    content = f"FROM_FILE='{VALUE}'\nSECOND=long-enough\n".encode()
    done = run(node, "secrets", "import", "t", "-", stdin=content)
    assert done.returncode == 0, done.stderr
    assert VALUE.encode() not in done.stdout + done.stderr
    listed = json.loads(run(node, "secrets", "ls", "t", "--json").stdout)["secrets"]
    assert {"from-file", "second"} <= {info["name"] for info in listed}
    done = run(node, "secrets", "import", "t", "-", stdin=b"THIRD=long-enough\nFOURTH=short\n")
    assert done.returncode == 1
    listed = json.loads(run(node, "secrets", "ls", "t", "--json").stdout)["secrets"]
    assert "third" not in {info["name"] for info in listed}


def test_several_secrets_need_the_right_to_each(node: TestNode) -> None:
    made = run(node, "tokens", "add", "narrow", "--role", "invoker@t", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["text"]
    answer = httpx2.put(
        f"{node.url}/api/v1/secrets/t",
        headers={"authorization": f"Bearer {key}"},
        json={"secrets": [{"name": "mine", "sealed": ""}]},
    )
    assert answer.status_code == 403, answer.text
    assert "secret:write" in answer.text


def test_no_answer_of_the_api_holds_a_value(node: TestNode) -> None:
    set_value(node)
    encoded = base64.b64encode(VALUE.encode())[:20]
    for path in ("/secrets", "/secrets/t", "/secrets/t/api-key", "/vault", "/vault/key"):
        answer = node.client.get(f"{node.url}/api/v1{path}")
        assert answer.status_code == 200, path
        assert VALUE.encode() not in answer.content
        assert encoded not in answer.content


def test_a_value_in_clear_is_refused(node: TestNode) -> None:
    answer = node.client.put(
        f"{node.url}/api/v1/secrets/t/clear",
        content=VALUE.encode(),
        headers={"content-type": "application/octet-stream"},
    )
    assert answer.status_code == 422
    assert VALUE not in answer.text


def test_without_a_credential_there_is_nothing(node: TestNode) -> None:
    for path in ("/secrets", "/secrets/t", "/vault", "/vault/key"):
        answer = node.client.get(f"{node.url}/api/v1{path}", headers={"authorization": ""})
        assert answer.status_code == 401, path


def test_no_file_environment_or_command_line_holds_a_value(node: TestNode) -> None:
    set_value(node)
    needle = VALUE.encode()
    for file in node.data.rglob("*"):
        assert "api-key" not in file.name
        with contextlib.suppress(FileNotFoundError):  # it was replaced
            assert not file.is_file() or needle not in file.read_bytes(), file
    for pid in node.processes():
        for name in ("environ", "cmdline"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended
                assert needle not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_the_vault_is_confined(node: TestNode) -> None:
    vault = node.part("vault")
    lines = Path(f"/proc/{vault}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"].startswith("2")
    assert int(status["CapEff"], 16) == 0


@pytest.mark.storm
def test_master_key_rotation_while_the_node_runs(fresh_node: TestNode, tmp_path: Path) -> None:
    set_value(fresh_node)
    new = tmp_path / "second.key"
    done = run(
        fresh_node,
        *("vault", "rotate-master", "--data", str(fresh_node.data), "--to", f"file:{new}"),
        *("--from", f"file:{fresh_node.master_key}", "--yes"),
    )
    assert done.returncode == 0, done.stderr
    assert run(fresh_node, "vault", "rotate-keys").returncode == 0
    status = json.loads(run(fresh_node, "vault", "status", "--json").stdout)
    assert status["master_key"] == f"file:{new}"
    assert status["secrets"] == 1
    fresh_node.stop()
    fresh_node.arguments = ("--master-key", f"file:{new}")
    fresh_node.start()
    listed = json.loads(run(fresh_node, "secrets", "ls", "--json").stdout)
    assert [info["name"] for info in listed["secrets"]] == ["api-key"]


def test_another_master_key_is_refused_and_changes_nothing(
    fresh_node: TestNode, tmp_path: Path
) -> None:
    fresh_node.stop()
    state = fresh_node.data / "vault" / "vault.sealed"
    before = state.read_bytes()
    other = tmp_path / "other.key"
    other.write_text(os.urandom(32).hex())
    other.chmod(0o600)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "serve", "--port", "0"),
            *("--data", str(fresh_node.data), "--master-key", f"file:{other}"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "another one" in done.stderr
    assert state.read_bytes() == before


def test_a_granted_function_gets_the_value_and_leaks_none_of_it(node: TestNode) -> None:
    set_value(node)
    node.deploy(READER, routes=GRANTED, approve=True)
    assert node.invoke("length").json() == {"length": len(VALUE)}
    assert node.invoke("print").status_code == 200
    failed = node.invoke("raise")
    assert VALUE not in failed.text
    error = json.dumps(node.error(failed))
    logs = node.client.get(f"{node.url}/api/v1/logs").text
    for text in (error, logs):
        assert VALUE not in text
    assert "[redacted:api-key]" in error
    assert "[redacted:api-key]" in logs


def test_an_error_without_output_is_recorded_and_redacted(node: TestNode) -> None:
    set_value(node)
    node.deploy(READER, name="silent", routes=GRANTED.replace(".f.", ".silent."), approve=True)
    error = node.error(node.invoke("raise in silence", function="t/silent"))
    assert error["type"] == "ValueError"
    assert error["message"] == "[redacted:api-key]"


def test_a_function_without_the_grant_gets_nothing(node: TestNode) -> None:
    set_value(node)
    node.deploy(READER, name="ungranted")
    assert node.invoke("length", function="t/ungranted").status_code >= 400


def test_a_secret_that_is_held_back_is_given_once_it_has_another_value(node: TestNode) -> None:
    set_value(node)
    node.deploy(READER, grants='secrets = ["api-key"]', approve=True)
    assert node.invoke().status_code == 200
    held = run(node, "restrict", "set", "secret", "api-key", "--project", "t", "--reason", "leaked")
    assert held.returncode == 0, held.stderr
    answer = node.invoke()
    assert node.outcome(answer) == "handler-error"
    assert "held back" in json.dumps(node.error(answer))
    set_value(node, VALUE + " rotated")
    assert node.invoke().status_code == 200
    assert json.loads(run(node, "restrict", "ls", "--json").stdout)["restrictions"] == []


TOKEN = "token-of-an-index-0123456789"


def test_the_login_of_a_package_index_is_lent_for_a_build(node: TestNode, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    manifest = '[project]\nname = "t"\n\n[function.f]\nhandler = "app:handler"\n'
    (root / "casemate.toml").write_text(f'{manifest}requirements = "requirements.txt"\n')
    (root / "app.py").write_text("import alpha\ndef handler(event, context):\n    return 1\n")
    (root / "requirements.txt").write_text("alpha\n")
    with fake_index() as index:
        index.add("alpha")
        index.bearer = TOKEN
        (root / "casemate-packages.toml").write_text(
            f'[index.own]\nurl = "{index.url}/simple"\npackages = ["alpha"]\nsecret = "index-own"\n'
        )
        build = ("build", "--manifest", str(root))
        missing = run(node, *build)
        assert missing.returncode == 3 and b"casemate secrets set t/index-own" in missing.stderr
        set_value(node, f"https://elsewhere.example bearer {TOKEN}", "t/index-own")
        elsewhere = run(node, *build)
        assert elsewhere.returncode == 1 and b"login of another host" in elsewhere.stderr
        assert f"Bearer {TOKEN}" not in index.authorizations
        set_value(node, f"{index.url} bearer {TOKEN}", "t/index-own")
        done = run(node, *build)
        assert done.returncode == 0, done.stderr
        assert f"Bearer {TOKEN}" in index.authorizations
        assert run(node, *build).returncode == 0
    for each in (missing, elsewhere, done):
        assert TOKEN.encode() not in each.stdout + each.stderr
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        assert TOKEN.encode() not in path.read_bytes(), path
    entries = node.get("/journal", search="lendSecret", limit=1000)["entries"]
    # Twice for what was there: what is known is built without asking anybody.
    assert len(entries) == 2 and "secret:lend" in str(entries) and TOKEN not in str(entries)
    # What is for functions is for nobody else.
    set_value(node)
    url = f"{node.url}/api/v1/secrets/t/api-key/lend"
    refused = node.client.post(url, json={"public_key": base64.b64encode(bytes(1216)).decode()})
    assert refused.status_code == 422 and "only functions get it" in refused.text
    # Nor is what is withheld from functions lent to anybody.
    asked = {"kind": "secret", "what": "index-own", "project": "t", "reason": "it leaked"}
    held = node.client.post(f"{node.url}/api/v1/restrictions", json=asked)
    assert held.is_success, held.text
    url = f"{node.url}/api/v1/secrets/t/index-own/lend"
    refused = node.client.post(url, json={"public_key": base64.b64encode(bytes(1216)).decode()})
    assert refused.status_code == 409 and "withheld" in refused.text
    lift = f"{node.url}/api/v1/restrictions/{held.json()['id']}/lift"
    node.client.post(lift, json={"reason": "it was for a test"}).raise_for_status()


SETTER = """
import hashlib, time

def handler(event, context):
    name = event["secret"]
    value = context.secret(name, version=event["version"])
    print("the new value is", value)
    if name == "hangs":
        time.sleep(60)
    if name == "lies":
        return {"set": False}
    if name == "huge":
        return {"set": True, "more": "x" * 20_000_000}
    digest = hashlib.sha256(value.encode()).hexdigest()
    context.table("outside").put({"id": name, "digest": digest, "length": len(value)})
    return {"set": True}
"""
KEEPER = """
import hashlib
held = []

def handler(event, context):
    if not held:
        held.append(context.secret("db"))
    return hashlib.sha256(held[0].encode()).hexdigest()
"""
OUTSIDE = """
def handler(event, context):
    return context.table("outside").get("db").value
"""
OF_TABLE = 'tables = [{{ name = "outside", actions = ["{}"] }}]'
ROTATED = ("db", "hangs", "lies", "huge")


def rotate(node: TestNode, name: str, how: str = "rotate") -> httpx2.Response:
    path = f"{node.url}/api/v1/secrets/r/{name}/{how}"
    return node.client.post(path, json={"reason": "a test"}, timeout=30)


def test_a_secret_is_rotated_by_a_function_that_sets_it_outside(node: TestNode) -> None:
    """A good one, one that lies, hangs, answers too much; whoever held the value holds it no more.

    The new value is in no answer, log or event.
    """
    for name in ROTATED:
        set_value(node, name=f"r/{name}")
    table = '[table.outside]\nkey = "id"'
    granted = f"secrets = {json.dumps(ROTATED)}\n" + OF_TABLE.format("put")
    node.deploy(
        SETTER,
        name="setter",
        project="r",
        limits='timeout = "2s"',
        grants=granted,
        resources=table,
        approve=True,
    )
    node.deploy(
        KEEPER,
        name="keeper",
        project="r",
        settings='isolation = "instance"',
        grants='secrets = ["db"]',
        resources=table,
        approve=True,
    )
    node.deploy(
        OUTSIDE,
        name="outside",
        project="r",
        grants=OF_TABLE.format("get"),
        resources=table,
        approve=True,
    )
    for name in ROTATED[1:]:
        how = {"form": "password", "length": 40, "overlap": 3600, "function": "setter"}
        path = f"{node.url}/api/v1/secrets/r/{name}/rotation"
        assert node.client.put(path, json=how).status_code == 200
    how = ("--form", "password", "--length", "40", "--overlap", "1h", "--function", "setter")
    assert run(node, "secrets", "rotation", "r/db", *how).returncode == 0
    before = node.invoke(function="r/keeper").json()
    done = run(node, "secrets", "rotate", "r/db", "--reason", "a test", "--json")
    rotated = json.loads(done.stdout)
    assert (rotated["version"], rotated["former"], rotated["function"]) == (2, 1, "setter")
    new = node.invoke(function="r/keeper").json()
    outside = node.invoke(function="r/outside").json()
    assert new != before and (outside["digest"], outside["length"]) == (new, 40)
    for name in ROTATED[1:]:
        failed = rotate(node, name)
        assert failed.status_code == 409 and "stays in use" in failed.text, failed.text
        versions = node.get(f"/secrets/r/{name}")["versions"]
        assert [one["pending"] for one in versions] == [False, True]
    assert rotate(node, "db", "revert").json()["version"] == 3
    assert node.invoke(function="r/keeper").json() == before
    assert node.invoke(function="r/outside").json()["digest"] == before
    logs = run(node, "logs", "r/setter").stdout.decode()
    assert "the new value is [redacted:db]" in logs
    told = [
        (one["unmapped"]["change"], one["unmapped"]["step"])
        for one in (each["event"] for each in node.get("/journal", limit=200)["entries"])
        if one["metadata"]["event_code"] == "SecretRotated"
    ]
    assert told.count(("rotate", "failed")) == 3 and told.count(("back", "done")) == 1


@pytest.mark.storm
@pytest.mark.parametrize("killed", ["gateway", "vault"])
def test_a_rotation_that_is_killed_halfway_comes_to_one_value(
    fresh_node: TestNode, killed: str
) -> None:
    """The function has been told of the value; tried again it is told of the same one."""
    node = fresh_node
    slow = SETTER.replace('    return {"set": True}', '    time.sleep(2)\n    return {"set": True}')
    set_value(node, name="r/db")
    table = '[table.outside]\nkey = "id"'
    granted = 'secrets = ["db"]\n' + OF_TABLE.format("put")
    node.deploy(slow, name="setter", project="r", grants=granted, resources=table, approve=True)
    keeps = {"grants": 'secrets = ["db"]', "resources": table, "approve": True}
    node.deploy(KEEPER, name="keeper", project="r", **keeps)
    reads = {"grants": OF_TABLE.format("get"), "resources": table, "approve": True}
    node.deploy(OUTSIDE, name="outside", project="r", **reads)
    how = {"form": "hex", "length": 64, "overlap": 3600, "function": "setter"}
    path = f"{node.url}/api/v1/secrets/r/db/rotation"
    assert node.client.put(path, json=how).status_code == 200
    before = node.invoke(function="r/keeper").json()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(rotate, node, "db")
        time.sleep(1.2)
        os.kill(node.part(killed), signal.SIGKILL)
        with contextlib.suppress(httpx2.HTTPError):
            assert first.result().status_code >= 400
    node.wait_until(lambda: node.client.get(f"{node.url}/api/v1/ready").status_code == 200, 30)
    node.wait_until(lambda: node.invoke(function="r/keeper").status_code == 200, 30)
    assert node.invoke(function="r/keeper").json() == before
    told = node.invoke(function="r/outside").json()["digest"]
    assert rotate(node, "db").json()["version"] == 2
    assert node.invoke(function="r/keeper").json() == told
    assert node.invoke(function="r/outside").json()["digest"] == told


@pytest.mark.storm
def test_many_who_rotate_at_once_each_make_a_version_or_are_refused(fresh_node: TestNode) -> None:
    node = fresh_node
    set_value(node, name="r/db")
    path = f"{node.url}/api/v1/secrets/r/db/rotation"
    how = {"form": "hex", "length": 64, "overlap": 60}
    assert node.client.put(path, json=how).status_code == 200
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda _: rotate(node, "db"), range(64)))
    made = [one.json()["version"] for one in done if one.status_code == 200]
    assert {one.status_code for one in done} <= {200, 409} and made
    assert sorted(made) == list(range(2, len(made) + 2))
    versions = node.get("/secrets/r/db")["versions"]
    assert len(versions) <= 16 and not any(one["pending"] for one in versions)

"""The sink guard on a real node: what the caller gets, what the owner finds."""

from __future__ import annotations

import pytest

from support.node import TestNode

pytestmark = pytest.mark.sandbox
SHARES_NODE = True

PAYLOAD = "nobody' OR 'a'='a"
SHOP = """
import sqlite3


def database():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE people (name TEXT, secret TEXT)")
    db.execute("INSERT INTO people VALUES ('ada', 'enigma')")
    return db


def concatenated(name):
    return database().execute("SELECT secret FROM people WHERE name = '" + name + "'").fetchall()


def reviewed(name):
    return database().execute("SELECT secret FROM people WHERE name = '" + name + "'").fetchall()


def handler(event, context):
    name = event["name"]
    how = event["how"]
    if how == "parameter":
        rows = database().execute("SELECT secret FROM people WHERE name = ?", (name,))
        return rows.fetchall()
    if how == "reviewed":
        return reviewed(name)
    if how == "caught":
        try:
            return concatenated(name)
        except Exception:
            return "caught"
    if how == "caught wholly":
        try:
            return concatenated(name)
        except BaseException:
            return "caught"
    return concatenated(name)
"""
EXCEPTION = """
[[function.f.guard]]
sink = "sql"
location = "app:reviewed"
reason = "the caller is an administrator's script"
"""


@pytest.fixture(scope="module", autouse=True, params=["normal", "low"])
def deployed(node: TestNode, request: pytest.FixtureRequest) -> None:
    node.deploy(SHOP, project="shop", settings=f'trust = "{request.param}"', routes=EXCEPTION)


def ask(node: TestNode, how: str, name: str = PAYLOAD):  # type: ignore[no-untyped-def]
    return node.invoke({"how": how, "name": name}, function="shop/f")


def denials(node: TestNode, response) -> list[dict]:  # type: ignore[no-untyped-def, type-arg]
    invocation = response.headers["x-request-id"]
    found = node.get("/denials", invocation=invocation)["denials"]
    return [denial for denial in found if denial["kind"] == "injection"]


def test_data_that_stays_data_passes(node: TestNode) -> None:
    assert ask(node, "plain", "ada").json() == [["enigma"]]
    assert ask(node, "parameter").json() == []
    assert ask(node, "parameter", "ada").json() == [["enigma"]]


@pytest.mark.parametrize("how", ["plain", "caught", "caught wholly"])
def test_an_injection_is_blocked_whoever_catches_it(node: TestNode, how: str) -> None:
    response = ask(node, how)
    assert response.status_code == 500
    assert set(response.json()) == {"type", "title", "status", "error_id"}
    assert node.outcome(response) == "blocked"
    assert PAYLOAD not in response.text


def test_the_owner_finds_what_happened_without_the_payload(node: TestNode) -> None:
    response = ask(node, "plain")
    node.wait_until(lambda: denials(node, response))
    (denial,) = denials(node, response)
    line = SHOP.splitlines().index("def concatenated(name):") + 2
    assert denial["action"] == "guard:sql"
    assert denial["resource"] == f"app.py:{line}"
    assert denial["reason"].startswith("/name of the event ends the string literal")
    assert "execute(" in denial["reason"]
    assert 'sink = "sql", location = "app:concatenated"' in denial["reason"]
    error = node.error(response)
    assert error["outcome"] == "blocked"
    assert f"sql at app.py:{line}: /name of the event ends the string literal" in error["message"]
    assert "execute(" in error["message"]
    assert 'sink = "sql", location = "app:concatenated"' in error["message"]
    assert PAYLOAD not in error["message"]
    for text in (str(denial), str(error)):
        assert PAYLOAD not in text
        assert "nobody" not in text


def test_an_exception_records_and_lets_through(node: TestNode) -> None:
    response = ask(node, "reviewed")
    assert response.json() == [["enigma"]]
    node.wait_until(lambda: denials(node, response))
    (denial,) = denials(node, response)
    assert denial["reason"].startswith("Let through by an exception of the manifest.")


def test_the_next_invocation_begins_anew(node: TestNode) -> None:
    assert ask(node, "plain").status_code == 500
    assert ask(node, "plain", "ada").status_code == 200


ON_DEMAND = """
import sqlite3

NAMES = {"price": 3, "round": round}

def handler(event, context):
    if "formula" in event:
        return eval(event["formula"], dict(NAMES))
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE ports (name, kg)")
        db.execute("INSERT INTO ports VALUES ('Cork', 120), ('Bray', 7)")
        condition = event["condition"]
        return db.execute(f"SELECT name FROM ports WHERE kg > 0 AND ({condition})").fetchall()
"""


def test_rules_that_few_functions_need_are_there_in_a_sandbox(node: TestNode) -> None:
    """An instance has no file of ours: what sinks import where they need it was missing there."""
    node.deploy(ON_DEMAND, name="ondemand")

    def answer(**event: str) -> object:
        response = node.invoke(event, function="t/ondemand")
        return response.json() if response.status_code == 200 else node.outcome(response)

    assert answer(formula="round(price / 7, 2)") == 0.43
    assert answer(formula="__import__('os').getcwd()") == "blocked"
    assert answer(condition="kg > 100 and name = 'Cork'") == [["Cork"]]
    assert answer(condition="kg > 100 or 1 = 1") == "blocked"
    reasons = [denial["reason"] for denial in node.get("/denials")["denials"]]
    assert not [reason for reason in reasons if "could not be checked" in reason]

"""What the code of a project surely calls and its manifest does not grant."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.audit.privileges.ungranted import Ungranted, ungranted_uses

MANIFEST = """\
[project]
name = "shop"

[table.orders]
key = "id"

[function.cart]
handler = "app:handler"
python = "3.13"
[function.cart.grants]
tables = [{ name = "orders", actions = ["put"] }]
secrets = ["mail-key"]

[function.mail]
handler = "mail:handler"
python = "3.13"
"""
HEAD = "def handler(event, context):\n    "


def found(folder: Path, code: str, mail: str = "", seconds: float = 5.0) -> list[str]:
    (folder / "casemate.toml").write_text(MANIFEST)
    (folder / "app.py").write_text(code)
    (folder / "mail.py").write_text(mail or f"{HEAD}return 1\n")
    uses = ungranted_uses(folder / "casemate.toml", {"cart", "mail"}, seconds=seconds)
    return [f"{u.function} {u.kind} {u.resource} {u.action} {u.place}" for u in uses]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("context.table('orders').put({})", []),
        ("context.table('orders').get('x')", ["cart table orders get app.py:2:5"]),
        ("context.table('people').put({})", ["cart table people put app.py:2:5"]),
        ("context.topic('news').publish({})", ["cart topic news publish app.py:2:5"]),
        ("context.queue('jobs').send({})", ["cart queue jobs send app.py:2:5"]),
        ("context.bucket('b').open('x')", ["cart bucket b read app.py:2:5"]),
        ("context.secret('mail-key')", []),
        ("context.secret('other')", ["cart secret other read app.py:2:5"]),
        ("context.invoke('mail', {})", ["cart function mail invoke app.py:2:5"]),
        ("context.table(event['t']).get('x')", []),
        ("context.table('orders')", []),
    ],
)
def test_what_is_called_and_not_granted(tmp_path: Path, call: str, expected: list[str]) -> None:
    assert found(tmp_path, f"{HEAD}{call}\n") == expected


def test_each_action_is_told_once_at_its_first_call(tmp_path: Path) -> None:
    code = f"{HEAD}t = context.table('orders')\n    t.get(1)\n    t.get(2)\n    t.delete(3)\n"
    assert found(tmp_path, code) == [
        "cart table orders delete app.py:5:5",
        "cart table orders get app.py:3:5",
    ]


def test_a_function_without_any_grant_is_read_too(tmp_path: Path) -> None:
    mail = f"{HEAD}return context.secret('mail-key')\n"
    assert found(tmp_path, f"{HEAD}return 1\n", mail) == ["mail secret mail-key read mail.py:2:12"]


def test_only_what_is_deployed_is_read(tmp_path: Path) -> None:
    found(tmp_path, f"{HEAD}context.topic('news').publish(1)\n")
    assert ungranted_uses(tmp_path / "casemate.toml", {"mail"}, seconds=5.0) == []


@pytest.mark.parametrize("code", ["def handler(:\n", "", "\0", "import x\n" * 3 + "((" * 50_000])
def test_nothing_is_said_of_code_that_cannot_be_read(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, code) == []


def test_nothing_is_read_when_the_time_is_over(tmp_path: Path) -> None:
    assert found(tmp_path, f"{HEAD}context.topic('news').publish(1)\n", seconds=0.0) == []


def test_a_manifest_of_another_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"{HEAD}context.topic('news').publish(1)\n")
    (tmp_path / "mail.py").write_text(f"{HEAD}return 1\n")
    (tmp_path / "other.toml").write_text(MANIFEST)
    [use] = ungranted_uses(tmp_path / "other.toml", {"cart"}, seconds=5.0)
    assert isinstance(use, Ungranted) and use.resource == "news"

"""A node whose clock is set deploys, lets people in, or says that it is the clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_accounts import enrol

from casemate.accounts.totp import code_at
from support.accounts import PASSWORD
from support.cli import casemate
from support.clocks import SetClockNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetClockNode]:
    found = SetClockNode(tmp_path_factory.mktemp("clock") / "data")
    try:
        found.start()
        yield found
    finally:
        found.close()


@pytest.mark.parametrize(
    ("off", "why"),
    [
        (-HOUR, ""),
        (-3 * DAY, "days later than the clock of this node says"),
        (0.0, ""),
        (2 * DAY, ""),
        (40 * DAY, "40.0 days ago, by the clock of this node"),
    ],
)
def test_a_deploy_holds_or_names_the_clock(
    node: SetClockNode, tmp_path: Path, off: float, why: str
) -> None:
    """The owner's token is of the time when the clock was right; so is who signs."""
    (tmp_path / "app.py").write_text(f"def handler(event, context):\n    return {off}\n")
    manifest = tmp_path / "casemate.toml"
    manifest.write_text('[project]\nname = "t"\n[function.f]\nhandler = "app:handler"\n')
    node.set_clock(off)
    ran = casemate(
        node, "deploy", "--manifest", str(manifest), env={"CASEMATE_BUILDER_KEY": key(node)}
    )
    if why:
        assert ran.returncode == 1 and why in ran.stderr and "clock that is wrong" in ran.stderr
    else:
        assert ran.returncode == 0, ran.stderr
        assert node.invoke({}).json() == off


def key(node: SetClockNode) -> str:
    return str(node.data.parent / "builder.key")


def test_who_has_both_factors_is_told_that_the_clock_was_set_back(node: SetClockNode) -> None:
    node.set_clock(0.0)
    url = f"{node.url}/api/v1"
    made = node.client.post(f"{url}/users", json={"name": "eve", "roles": ["auditor"]})
    secret = enrol(node, "eve", str(made.json()["code"]))

    def login(password: str = PASSWORD) -> tuple[int, str]:
        code = code_at(secret, int(node.now) // 30)
        body = {"name": "eve", "password": password, "code": code}
        answer = node.client.post(f"{url}/login", json=body)
        return answer.status_code, answer.text

    assert login("wrong-otter-granite-seven")[0] == 401
    node.set_clock(-HOUR)
    time.sleep(0.1)
    status, text = login()
    assert status == 401 and "clock has been set back" in text
    assert "clock" not in login("wrong-otter-granite-seven")[1]
    node.set_clock(120.0)
    assert login()[0] == 201

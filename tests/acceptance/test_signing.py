"""Signatures on a real node, as people meet them: without a step, and in the way of others."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support import forked_cli
from support.node import TestNode
from support.sigstore_keys import github, own_sigstore, statement

APP = "def handler(event, context):\n    return {text!r}\n"
MANIFEST = '[project]\nname = "shop"\n[function.cart]\nhandler = "app:handler"\n'

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data").start()
    yield node
    node.close()


@pytest.fixture
def cli(node: TestNode, tmp_path: Path) -> Cli:
    """The command line as one person, or with another `home`, key and folder."""
    homes = tmp_path.with_name(f"{tmp_path.name}-homes")
    (tmp_path / "casemate.toml").write_text(MANIFEST)

    def call(
        *words: str, home: str = "home", key: str | None = None, cwd: Path = tmp_path, **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "HOME": str(homes / home),
            "XDG_CONFIG_HOME": str(homes / home / "config"),
            "CASEMATE_URL": node.url,
            "CASEMATE_KEY": key or node.key,
            **more,
        }
        return forked_cli.run(words, cwd=cwd, env=environment)

    return call


def write(folder: Path, text: str) -> None:
    (folder / "app.py").write_text(APP.format(text=text))


def facts(node: TestNode, kind: str) -> list[dict]:
    return node.get("/journal", kind=kind)["entries"]


def test_from_deploy_to_rollback_nobody_is_asked_for_a_key(
    cli: Cli, node: TestNode, tmp_path: Path
) -> None:
    for text in ("one", "two"):
        write(tmp_path, text)
        done = cli("deploy")
        assert done.returncode == 0, done.stderr
    key = tmp_path.with_name(f"{tmp_path.name}-homes") / "home/config/casemate/builder.key"
    assert key.stat().st_mode & 0o777 == 0o600
    # Back to an older bundle is for whoever has the right to, from anywhere: nothing is signed.
    assert cli("rollback", "cart", home="elsewhere").returncode == 0
    assert node.invoke({}, function="shop/cart").json() == "one"
    listed = json.loads(cli("keys", "ls", "--json").stdout)["keys"]
    assert len(listed) == 1 and listed[0]["principal"].startswith("token:")
    # From another machine, with nothing but the token.
    write(tmp_path, "three")
    assert cli("deploy", home="laptop").returncode == 0
    assert len(json.loads(cli("keys", "ls", "--json").stdout)["keys"]) == 2


@pytest.mark.storm
def test_verify_builds_again_and_compares(cli: Cli, node: TestNode, tmp_path: Path) -> None:
    write(tmp_path, "true")
    assert cli("deploy").returncode == 0
    done = cli("verify", "cart", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {check["what"] for check in json.loads(done.stdout)} == {"signature", "source", "SBOM"}
    bundle = next(p for p in (tmp_path / ".casemate/bundles").iterdir() if len(p.name) == 64)
    write(tmp_path, "false")
    done = cli("verify", "cart")
    assert done.returncode == 1 and "FAILS  source" in done.stdout
    (bundle / "code/app.py").write_text("def handler(e, c): return 'evil'\n")
    done = cli("verify", str(bundle))
    assert done.returncode == 1 and "FAILS  digests" in done.stdout


@pytest.mark.storm
def test_builds_repeat_in_other_folders_with_other_umask_and_locale(
    cli: Cli, tmp_path: Path
) -> None:
    write(tmp_path, "again")
    digests = set()
    for number, umask in enumerate((0o022, 0o077)):
        folder = tmp_path / f"copy {number}"
        folder.mkdir()
        before = os.umask(umask)
        try:
            (folder / "casemate.toml").write_text(MANIFEST)
            write(folder, "again")
            os.utime(folder / "app.py", (1e9 * (number + 1), 1e9 * (number + 1)))
            done = cli(
                *("build", "--json"),
                cwd=folder,
                home=f"home-{number}",
                LANG=("C", "tr_TR.UTF-8")[number],
                LC_ALL=("C", "tr_TR.UTF-8")[number],
                TZ=("UTC", "Asia/Kathmandu")[number],
                PYTHONHASHSEED=str(number + 1),
            )
        finally:
            os.umask(before)
        assert done.returncode == 0, done.stderr
        digests.add(json.loads(done.stdout)["bundles"][0]["digest"])
    assert len(digests) == 1


@pytest.mark.storm
def test_two_have_to_sign_where_a_project_says_so(cli: Cli, node: TestNode, tmp_path: Path) -> None:
    write(tmp_path, "both")
    made = cli("tokens", "add", "ci", "--role", "developer@shop", "--json")
    ci = json.loads(made.stdout)["text"]
    mine = cli("keys", "add").stdout.strip()
    theirs = cli("keys", "add", home="ci", key=ci).stdout.strip()
    ruled = cli("keys", "set-rule", "shop", "--key", mine, "--key", theirs, "--threshold", "2")
    assert ruled.returncode == 0, ruled.stderr
    # Who may deploy may not say who has to sign.
    assert cli("keys", "set-rule", "shop", home="ci", key=ci).returncode == 4
    try:
        refused = cli("deploy")
        assert refused.returncode != 0 and "2 of 2 keys" in refused.stderr
        assert "Nothing was built." in refused.stderr
        signed = cli("sign", home="ci", key=ci)
        assert signed.returncode == 0, signed.stderr
        done = cli("deploy")
        assert done.returncode == 0, done.stderr
        assert "ci" not in node.invoke({}, function="shop/cart").text
    finally:
        assert cli("keys", "set-rule", "shop").returncode == 0


@pytest.mark.storm
def test_a_project_that_asks_for_a_signer_is_deployed_with_what_that_signed(
    cli: Cli, node: TestNode, tmp_path: Path
) -> None:
    write(tmp_path, "from CI")
    (tmp_path / "casemate.toml").write_text(MANIFEST.replace("shop", "signed"))
    outside = tmp_path.with_name(f"{tmp_path.name}-signed")  # what lies beside the source is built
    outside.mkdir()
    (outside / "root.json").write_bytes(own_sigstore().trusted_root())
    root, file = str(outside / "root.json"), str(outside / "cart.json")
    signer = "GitHub:owner/shop:build.yml@refs/tags/v1"
    ruled = cli("keys", "set-rule", "signed", "--signer", signer, "--trusted-root", root)
    assert ruled.returncode == 0 and signer in ruled.stdout, ruled.stderr
    refused = cli("deploy")
    assert refused.returncode != 0 and f"asks for the word of {signer}" in refused.stderr
    assert any(signer in json.dumps(one) for one in facts(node, "Denial"))
    digest = json.loads(cli("build", "--json").stdout)["bundles"][0]["digest"]
    now = datetime.now(UTC)
    made = own_sigstore().made(
        statement("cart", digest), github("owner/shop", "build.yml"), moment=now, start=now
    )
    (outside / "cart.json").write_bytes(made.bundle())
    done = cli("deploy", "--sigstore", file)
    assert done.returncode == 0, done.stderr
    assert node.invoke({}, function="signed/cart").json() == "from CI"
    again = cli("deploy", "--force", "--sigstore", file)
    assert again.returncode != 0 and "was used for another deploy" in again.stderr
    checks = json.loads(cli("verify", "cart", "--json").stdout)
    (found,) = (one for one in checks if one["what"] == "sigstore")
    assert found["holds"] and "GitHub:owner/shop:build.yml" in found["detail"]


@pytest.mark.storm
def test_a_bundle_of_others_and_a_revoked_key_are_refused_and_told(
    cli: Cli, node: TestNode, tmp_path: Path
) -> None:
    write(tmp_path, "mine")
    assert cli("deploy").returncode == 0
    digest = json.loads(cli("build", "--json").stdout)["bundles"][0]["digest"]
    made = cli("tokens", "add", "eve", "--role", "developer@shop", "--json")
    eve = json.loads(made.stdout)["text"]
    answer = node.client.post(
        f"{node.url}/api/v1/functions/shop/cart/versions",
        json={"digest": digest},
        headers={"authorization": f"Bearer {eve}"},
    )
    assert answer.status_code == 409 and "not signed by a key of" in answer.json()["detail"]
    key = cli("keys", "add").stdout.strip()
    # What is not theirs they neither see nor revoke.
    assert json.loads(cli("keys", "ls", "--json", key=eve).stdout)["keys"] == []
    reason = ("--reason", "the laptop was stolen", "--yes")
    assert cli("keys", "revoke", key, *reason, key=eve).returncode == 4
    since = time.time() - 3600
    done = cli(
        "keys",
        "revoke",
        key,
        *reason,
        "--since",
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since)),
    )
    assert done.returncode == 0, done.stderr
    refused = cli("deploy", "--force")
    assert refused.returncode != 0 and "was revoked" in refused.stderr
    # A fresh zygote is what asks: that of before is gone with the node.
    node.stop()
    node.start()
    assert node.invoke({}, function="shop/cart").status_code >= 500
    node.wait_until(lambda: facts(node, "BundleTampered"))
    assert facts(node, "BuilderKeyRevoked")
    # Another key mends it.
    assert cli("deploy", "--force", home="new").returncode == 0
    assert node.invoke({}, function="shop/cart").json() == "mine"


def test_a_byte_of_the_bundle_on_disk_is_a_refusal_and_a_critical_finding(
    cli: Cli, node: TestNode, tmp_path: Path
) -> None:
    node.deploy("def handler(e, c): return 1\n", name="g")
    digest = node.get("/functions/t/g")["versions"][-1]["digest"]
    sealed = node.data / "bundles" / f"{digest}.sealed"
    data = bytearray(sealed.read_bytes())
    data[len(data) // 2] ^= 1
    sealed.write_bytes(data)
    node.stop()
    node.start()
    assert node.invoke({}, function="t/g").status_code >= 500
    node.wait_until(lambda: digest in json.dumps(facts(node, "BundleTampered")))
    node.wait_until(
        lambda: [f for f in node.get("/findings")["findings"] if f["level"] == "critical"]
    )

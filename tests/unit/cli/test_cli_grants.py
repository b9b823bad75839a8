"""Grants on the command line: deploys that widen, what was used, and the tighter manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from grants_node import GrantsNode
from typer.testing import CliRunner

import casemate.build
from casemate.admission.grants import difference
from casemate.build.bundle import BuiltBundle
from casemate.cli import learning, operation_command
from casemate.cli.client import NodeClient
from casemate.cli.commands import deploy as deploy_command
from casemate.cli.commands import dev as dev_command
from casemate.cli.commands import grants as grants_command
from casemate.cli.errors import CommandError, ExitCode, UsageError, exit_code_of
from casemate.cli.grant_report import ApprovalNeededError, in_words_already, narrowed
from casemate.cli.hole_check import JudgedBundle, KnownHolesError
from casemate.cli.learning import (
    propose,
    require_learnable,
    run_command,
    with_everything_declared,
)
from casemate.cli.names import FunctionName
from casemate.cli.text import moment
from casemate.cli.unset_secrets import wanted_secrets
from casemate.manifest import load
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.denial import Denial, DenialKind, GrantApproval, PackageUse
from casemate.model.errors import CasemateError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.trigger import RepositoryTrigger, ValkeyTrigger
from casemate.model.vulnerability import JudgedFunction

JOBS = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
KEY = Grant(kind=GrantKind.SECRET, name="key", actions=("read",))
UPLOADS = Grant(
    kind=GrantKind.BUCKET, name="uploads", actions=("read", "write"), prefixes=("in/", "out/")
)
SHARDS = Grant(
    kind=GrantKind.EGRESS,
    name="*.example.com:443",
    actions=("connect",),
    exception="all the shards",
)

MANIFEST = """\
[project]
name = "shop"
[queue.jobs]
[bucket.uploads]
[function.cart]
handler = "app:handle"
# what it needs
[function.cart.grants]
buckets = [{ name = "uploads", actions = ["read", "write"], prefixes = ["in/", "out/"] }]
queues = ["jobs"]

[function.mail] # sends
handler = "app:handle"
"""


@pytest.fixture
def project(home: Path) -> Path:
    (home / "casemate.toml").write_text(MANIFEST)
    (home / "app.py").write_text("def handle(event, context):\n    return 1\n")
    return home


@pytest.fixture
def grants_node(home: Path, monkeypatch) -> GrantsNode:
    node = GrantsNode()
    monkeypatch.setattr(NodeClient, "exchange", lambda _, *a, **k: node.exchange(*a, **k))
    for module in (deploy_command, operation_command):
        monkeypatch.setattr(module, "connect", node.connect)

    def build(root, project, spec, out, **_) -> BuiltBundle:
        code = b"def handle(event, context): ..."
        manifest = BundleManifest(
            project=project,
            function=msgspec.structs.replace(spec, python="3.12"),
            lock_sha256=None,
            files=(
                BundleFile(
                    path="code/app.py", size=len(code), sha256=hashlib.sha256(code).hexdigest()
                ),
            ),
        )
        node.specs[manifest.digest()] = manifest.function
        return BuiltBundle(digest=manifest.digest(), path=out, manifest=manifest, warnings=())

    monkeypatch.setattr("casemate.build.bundle.build", build)
    monkeypatch.setattr(casemate.build, "find_interpreters", lambda **_: ())
    return node


@pytest.fixture
def run(grants_node: GrantsNode) -> Callable[..., str]:
    """Runs a command; returns what it printed, raises what it raised."""

    def call(app, *arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def deployments(node: GrantsNode) -> list[dict[str, object]]:
    """Return the bodies that deploys sent; what is not said is as it is by default."""
    return [
        {"approve": False, **body}
        for method, path, body in node.requests
        if (method, path) == ("POST", "/api/v1/deployments")
    ]


# -- deploy --------------------------------------------------------------------------------------


def test_a_deploy_that_widens_stops_before_anything_is_sent(run, project, grants_node) -> None:
    with pytest.raises(ApprovalNeededError) as caught:
        run(deploy_command.app)
    assert '+ bucket uploads: read, write below "in/", "out/"' in str(caught.value)
    assert "+ queue jobs: send" in str(caught.value)
    assert "--approve" in str(caught.value.next_step)
    assert exit_code_of(caught.value) is ExitCode.DENIED
    told = [(method, path) for method, path, _ in grants_node.requests if method != "GET"]
    assert told == [("POST", f"/api/v1/deployments/{each}") for each in ("check", "refused")]


def test_approving_is_said_to_the_node(run, project, grants_node) -> None:
    out = run(deploy_command.app, "--approve")
    assert "shop/cart  version 1 is live" in out
    assert [body.get("approve") for body in deployments(grants_node)] == [True]
    assert grants_node.versions["cart"][0].spec.grants == (UPLOADS, JOBS)


def test_less_needs_no_approval_and_none_is_sent(run, project, grants_node) -> None:
    run(deploy_command.app, "--approve")
    (project / "casemate.toml").write_text(MANIFEST.replace('queues = ["jobs"]', ""))
    out = run(deploy_command.app, "cart")
    assert "removed  queue jobs: send" in out
    assert not deployments(grants_node)[-1]["approve"]


def test_what_a_grant_gives_up_is_shown_and_not_called_unused(run, project, grants_node) -> None:
    run(deploy_command.app, "--approve")
    grants_node.use("bucket uploads", "read", "in/")
    (project / "casemate.toml").write_text(
        MANIFEST.replace('"read", "write"', '"read"').replace('["in/", "out/"]', '["in/"]')
    )
    out = run(deploy_command.app, "cart")
    rows = [line.split(None, 2)[1:] for line in out.splitlines() if line.startswith("shop/cart")]
    assert rows[:-1] == [
        ["narrowed", 'bucket uploads: without write; only below "in/"'],
        ["unused", "queue jobs: send"],
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"prefixes": ("in/", "out/", "more/")}, []),
        ({"prefixes": ()}, []),
        ({"actions": ("read", "write", "list")}, []),
        ({"actions": ("write", "delete")}, ["bucket uploads: without read"]),
        ({"prefixes": ("in/a/", "out/")}, ['bucket uploads: only below "in/a/", "out/"']),
    ],
)
def test_only_less_is_narrower(change: dict[str, tuple[str, ...]], expected: list[str]) -> None:
    assert narrowed([UPLOADS, JOBS], [msgspec.structs.replace(UPLOADS, **change)]) == expected


def test_a_trigger_on_a_granted_bucket_makes_its_grant_no_narrower() -> None:
    reads = msgspec.structs.replace(UPLOADS, actions=("read",), prefixes=())
    watches = msgspec.structs.replace(UPLOADS, actions=("watch",), prefixes=("in/",))
    assert narrowed([reads, watches], [reads, watches]) == []
    assert narrowed([reads, watches], [watches]) == ["bucket uploads: without read"]
    assert narrowed([watches], [msgspec.structs.replace(watches, prefixes=("in/a/",)), reads]) == [
        'bucket uploads: only below "in/a/"'
    ]


def test_an_action_that_is_left_of_two_below_fewer_keys_is_narrower() -> None:
    both = msgspec.structs.replace(UPLOADS, prefixes=())
    reads = msgspec.structs.replace(both, actions=("read",))
    writes = msgspec.structs.replace(both, actions=("write",), prefixes=("in/",))
    assert narrowed([both], [reads, writes]) == ['bucket uploads: only below "in/"']


def test_a_network_grant_is_narrower_without_its_exceptions() -> None:
    wide = Grant(
        kind=GrantKind.EGRESS,
        name="db.internal:5432",
        actions=("connect",),
        forward=15432,
        private=True,
        exception="our own database",
    )
    plain = msgspec.structs.replace(wide, forward=None, private=False, exception="")
    assert narrowed([plain], [wide]) == []
    assert narrowed([wide], [plain]) == [
        "egress db.internal:5432: without a local port; public addresses only"
    ]


def test_the_table_shows_all_that_is_to_be_known(run, project, grants_node) -> None:
    run(deploy_command.app, "--approve")
    grants_node.use("bucket uploads", "read", "in/")
    text = MANIFEST.replace(
        'queues = ["jobs"]',
        'egress = [{ host = "*.example.com", exception = "all the shards" }]\nsecrets = ["key"]',
    ).replace('"read", "write"', '"read", "write", "list"')
    (project / "casemate.toml").write_text(text)
    out = run(deploy_command.app, "cart", "--approve")
    rows = [line.split(None, 2)[1:] for line in out.splitlines() if line.startswith("shop/cart")]
    assert rows[:-1] == [
        ["added", "secret key: read"],
        ["added", 'egress *.example.com:443: connect (exception: "all the shards")'],
        ["widened", "bucket uploads: also list"],
        ["removed", "queue jobs: send"],
        ["unused", "bucket uploads: write"],
    ]


def test_what_the_code_calls_and_nothing_grants_is_told(run, project) -> None:
    code = "def handle(event, context):\n    return context.topic('news').publish(event)\n"
    (project / "app.py").write_text(code)
    row = {
        "function": "shop/cart",
        "is": "missing",
        "grant": "topic news: publish, called at app.py:2:12",
    }
    assert row in json.loads(run(deploy_command.app, "cart", "--approve", "--json"))["grants"]
    told = run(deploy_command.app, "cart", "--force")
    assert " ".join(row["grant"].split()) in " ".join(told.split())


def test_a_deploy_goes_on_where_its_code_makes_the_reading_fail(run, project, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("casemate.audit.privileges.ungranted.ungranted_uses", fails)
    assert "missing" not in run(deploy_command.app, "cart", "--approve")


def test_what_refuses_a_deploy_is_shown_without_what_it_would_grant(
    run, project, grants_node, monkeypatch
) -> None:
    lacking = JudgedFunction(problems=("There are no advisories.",))
    held = [JudgedBundle(function="shop/cart", judged=lacking)]
    monkeypatch.setattr(deploy_command, "judged_bundles", lambda *_: held)
    refused = CliRunner().invoke(deploy_command.app, ["--approve"])
    assert isinstance(refused.exception, KnownHolesError)
    assert "bucket uploads" not in refused.output and not deployments(grants_node)
    document = CliRunner().invoke(deploy_command.app, ["--approve", "--json"]).stdout
    assert "added" in {row["is"] for row in json.loads(document)["grants"]}, "it is still data"
    held.clear()
    assert "bucket uploads" in run(deploy_command.app, "--approve")


PRIVATE = '{ host = "10.0.0.9", port = 8443, private = true, exception = "our own sink" }'
TOLD = 'egress 10.0.0.9:8443: connect, private addresses too (exception: "our own sink")'


def test_what_reaches_private_addresses_is_told_once_while_it_is_new(run, project) -> None:
    text = MANIFEST.replace('queues = ["jobs"]', f"egress = [{PRIVATE}]")
    (project / "casemate.toml").write_text(text)
    refused = CliRunner().invoke(deploy_command.app, [])
    assert (refused.output + str(refused.exception)).count(TOLD) == 1
    out = run(deploy_command.app, "--approve")
    assert out.count(TOLD) == 1 and "added" in out
    (project / "app.py").write_text("def handle(event, context):\n    return 2\n")
    assert TOLD not in run(deploy_command.app, "--force"), "nothing of it has changed"
    told = json.loads(run(deploy_command.app, "--force", "--json"))["grants"]
    assert [row["is"] for row in told if row["grant"] == TOLD] == ["private"]


def test_a_document_has_what_is_wide_under_one_word(run, project) -> None:
    text = MANIFEST.replace('queues = ["jobs"]', f"egress = [{PRIVATE}]")
    (project / "casemate.toml").write_text(text)
    told = json.loads(run(deploy_command.app, "--approve", "--json"))["grants"]
    assert [row["is"] for row in told if row["grant"] == TOLD] == ["added", "private"]


def test_of_one_that_was_private_before_it_is_told_beside_what_is_new() -> None:
    name = FunctionName("shop", "cart")
    was = Grant(
        kind=GrantKind.EGRESS,
        name="10.0.0.9:8443",
        actions=("connect",),
        private=True,
        exception="our own sink",
    )
    now = msgspec.structs.replace(was, forward=8443)
    assert not in_words_already(name, difference([was], [now]), [was], [now])
    public = msgspec.structs.replace(was, private=False, exception="")
    told = {("shop/cart", "private", TOLD)}
    assert in_words_already(name, difference([public], [was]), [public], [was]) == told
    assert in_words_already(name, difference([was], [was]), [was], [was]) == told


def test_a_missing_contract_is_told_of_what_is_deployed_alone(run, project) -> None:
    refused = CliRunner().invoke(deploy_command.app, [])
    assert isinstance(refused.exception, ApprovalNeededError)
    assert "without a contract" not in refused.stderr
    done = CliRunner().invoke(deploy_command.app, ["--approve"])
    assert "without a contract, so default limits apply: direct calls" in done.stderr


def test_secrets_that_are_wanted_and_not_set_are_told(run, project, grants_node) -> None:
    text = MANIFEST.replace('queues = ["jobs"]', 'secrets = ["key", "other"]')
    (project / "casemate.toml").write_text(text)
    refused = CliRunner().invoke(deploy_command.app, [])
    assert "not set" not in refused.stderr, "none is granted yet"
    result = CliRunner().invoke(deploy_command.app, ["--approve"])
    assert "shop/key is granted and not set: `casemate secrets set shop/key`" in result.stderr
    assert "shop/other" not in result.stderr
    told = json.loads(CliRunner().invoke(deploy_command.app, ["--approve", "--json"]).stdout)
    assert told["unset_secrets"] == ["key"]
    grants_node.secrets = None
    result = CliRunner().invoke(deploy_command.app, ["--approve", "--json", "--force"])
    assert json.loads(result.stdout)["unset_secrets"] == []
    grants_node.secrets = ("key", "other")
    result = CliRunner().invoke(deploy_command.app, ["--approve", "--json", "--force"])
    assert json.loads(result.stdout)["unset_secrets"] == []


def test_the_secrets_of_triggers_are_wanted_too() -> None:
    spec = FunctionSpec(
        name="cart",
        handler="a:b",
        grants=(Grant(kind=GrantKind.SECRET, name="key", actions=("read",)),),
        triggers=(
            RepositoryTrigger(name="r", provider="github", secret="hook", events=("push",)),
            ValkeyTrigger(name="v", host="h", port=1, password="login", stream="s"),
            ValkeyTrigger(name="w", host="h", port=1, stream="s"),
        ),
    )
    assert wanted_secrets(spec) == {"key", "hook", "login"}


def test_who_may_not_see_uses_can_deploy_all_the_same(run, project, grants_node) -> None:
    run(deploy_command.app, "--approve")
    grants_node.may_see_grants = False
    assert "unused" not in run(deploy_command.app, "cart", "--force")


def test_the_json_tells_the_difference(grants_node, project) -> None:
    result = CliRunner().invoke(deploy_command.app, ["--json"])
    document = json.loads(result.stdout)
    assert document["not_deployed"] == ["shop/cart", "shop/mail"]
    assert [g["name"] for g in document["widening"]["shop/cart"]["added"]] == ["uploads", "jobs"]
    assert document["grants"][-1] == {
        "function": "shop/cart",
        "is": "added",
        "grant": "queue jobs: send",
    }
    result = CliRunner().invoke(deploy_command.app, ["--json", "--approve"])
    deployed = json.loads(result.stdout)["deployed"]
    assert [g["name"] for g in deployed[0]["grants"]["widening"]] == ["uploads", "jobs"]


def test_what_a_refusal_names_is_told_once(grants_node, project) -> None:
    result = CliRunner().invoke(deploy_command.app, [])
    assert isinstance(result.exception, ApprovalNeededError)
    assert "queue jobs: send" in str(result.exception)
    assert "queue jobs: send" not in result.output
    assert "Nothing is deployed" not in result.output
    assert "queue jobs: send" in CliRunner().invoke(deploy_command.app, ["--approve"]).output


def test_the_node_decides_whatever_the_command_line_thought(
    run, project, grants_node, monkeypatch
) -> None:
    monkeypatch.setattr("casemate.cli.foreseen._grants", lambda *_: ([], set(), []))
    with pytest.raises(ApprovalNeededError, match="queue jobs: send"):
        run(deploy_command.app)
    grants_node.forget_difference = True
    with pytest.raises(CommandError, match="would be granted this by its first version"):
        run(deploy_command.app)
    assert grants_node.versions == {}


# -- show, suggest, approvals --------------------------------------------------------------------


@pytest.fixture
def used(grants_node: GrantsNode) -> GrantsNode:
    spec = FunctionSpec(name="cart", handler="app:handle", grants=(UPLOADS, JOBS, SHARDS))
    grants_node.deploy(spec)
    grants_node.use("bucket uploads", "read", "in/")
    grants_node.use("egress *.example.com:443", "connect")
    grants_node.denials.append(
        Denial(
            at=1.0,
            kind=DenialKind.CAPABILITY,
            by="function:shop/cart",
            action="secret:read",
            resource="secret:shop/\x1b[2Jkey",
            reason="not granted",
            version=1,
            count=7,
        )
    )
    grants_node.approvals.append(
        GrantApproval(
            project="shop", function="cart", version=1, added=(JOBS, KEY), by="user:ada", at=1.0
        )
    )
    return grants_node


def test_show_tells_what_packages_did(run, used, grants_node) -> None:
    assert "package" not in run(grants_command.app, "show", "shop/cart")
    grants_node.packages.append(
        PackageUse(package="requests", act="egress", first_at=1.0, last_at=2.0, count=7)
    )
    lines = run(grants_command.app, "show", "shop/cart").splitlines()
    assert any(line.split()[:3] == ["requests", "egress", "7"] for line in lines)


def test_what_another_version_used_is_not_called_unused(run, project, used, grants_node) -> None:
    """A version that is new, or is back after a rollback, has used nothing yet."""
    grants_node.deploy(grants_node.versions["cart"][0].spec)
    text = run(grants_command.app, "show", "shop/cart")
    assert "not yet    bucket uploads: read, which version 1 used" in text
    assert "unused     bucket uploads: read" not in text
    assert "unused     queue jobs: send" in text and "unused     bucket uploads: write" in text


def test_show_sets_used_against_granted_and_denied(run, used) -> None:
    lines = run(grants_command.app, "show", "shop/cart").splitlines()
    text = "\n".join(lines)
    assert any(line.split()[:5] == ["bucket", "uploads", "read", "in/", "3"] for line in lines)
    assert any(line.split() == ["bucket", "uploads", "write", "out/", "never"] for line in lines)
    assert "EXCEPTION  egress *.example.com:443" in text
    assert "unused     bucket uploads: write" in text
    assert "unused     queue jobs: send" in text
    assert "secret:shop/\\x1b[2Jkey" in text
    assert "\x1b" not in text
    document = json.loads(run(grants_command.app, "show", "shop/cart", "--json"))
    assert document["version"] == 1


def test_show_tells_each_thing_that_was_denied_once(run, used) -> None:
    (first,) = used.denials
    later = msgspec.structs.replace(first, at=90_000.0, count=2)
    other = msgspec.structs.replace(first, resource="secret:shop/other", version=2)
    used.denials[:0] = [other, later, later]
    lines = run(grants_command.app, "show", "shop/cart").splitlines()
    denied = [line.split() for line in lines if line.startswith("secret:read")]
    assert [row[1:4] for row in denied] == [
        ["secret:shop/other", "2", "7"],
        ["secret:shop/\\x1b[2Jkey", "1", "11"],
    ]
    assert moment(90_000.0) in "\n".join(lines)
    document = json.loads(run(grants_command.app, "show", "shop/cart", "--json"))
    assert len(document["denials"]) == 4


def test_suggest_prints_the_tighter_table(run, used) -> None:
    out = run(grants_command.app, "suggest", "shop/cart")
    assert out == (
        "[function.cart.grants]\nbuckets = [\n"
        '  { name = "uploads", actions = ["read"], prefixes = ["in/"] },\n]\n'
        'egress = [\n  { host = "*.example.com", exception = "all the shards" },\n]\n'
    )
    told = CliRunner().invoke(grants_command.app, ["suggest", "shop/cart"]).stderr
    assert told.splitlines() == [
        "This is less than version 1 is granted:",
        "  without queue jobs: send",
        '  bucket uploads: without write; only below "in/"',
    ]
    document = json.loads(run(grants_command.app, "suggest", "shop/cart", "--json"))
    assert [g["name"] for g in document["suggested"]] == ["uploads", "*.example.com:443"]
    assert document["written"] is None


def test_suggest_writes_nothing_but_the_table(run, project, grants_node) -> None:
    grants_node.deploy(load(project / "casemate.toml").functions[0])
    grants_node.use("bucket uploads", "read", "in/")
    run(grants_command.app, "suggest", "cart", "--write")
    before, _, rest = MANIFEST.partition("buckets = ")
    after = rest.partition('queues = ["jobs"]\n')[2]
    wanted = 'buckets = [\n  { name = "uploads", actions = ["read"], prefixes = ["in/"] },\n]\n'
    assert (project / "casemate.toml").read_text() == before + wanted + after
    with pytest.raises(CommandError, match="something else than version 1"):
        run(grants_command.app, "suggest", "cart", "--write")


def test_suggest_without_any_use_proposes_nothing(run, grants_node, project) -> None:
    grants_node.deploy(load(project / "casemate.toml").functions[0])
    with pytest.raises(CommandError, match="No use of any grant"):
        run(grants_command.app, "suggest", "cart", "--write")
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_suggest_writes_no_other_project_s_manifest(run, used, project) -> None:
    (project / "casemate.toml").write_text(MANIFEST.replace('"shop"', '"other"'))
    with pytest.raises(CommandError, match="does not declare shop/cart"):
        run(grants_command.app, "suggest", "shop/cart", "--write")


def test_approvals_name_who_let_what_through(run, used) -> None:
    out = run(grants_command.app, "approvals", "shop/cart")
    assert [line.split()[0] for line in out.splitlines()] == ["VERSION", "1", "1"]
    assert out.count("user:ada") == 2
    assert json.loads(run(grants_command.app, "approvals", "shop/cart", "--json"))["approvals"]


# -- learning ------------------------------------------------------------------------------------


def test_learning_is_for_this_machine_alone() -> None:
    require_learnable("127.0.0.1", ["pytest"], learn=True, write=True)
    require_learnable("0.0.0.0", None, learn=False, write=False)
    for host in ("0.0.0.0", "::", "192.0.2.1", "127.0.0.1.evil.example", ""):
        with pytest.raises(UsageError, match="not granted"):
            require_learnable(host, None, learn=True, write=False)
    with pytest.raises(UsageError, match="--learn"):
        require_learnable("127.0.0.1", ["pytest"], learn=False, write=False)
    with pytest.raises(UsageError, match="--learn"):
        require_learnable("127.0.0.1", None, learn=False, write=True)


def test_a_run_has_what_is_declared_and_keeps_what_is_granted(project) -> None:
    loaded = load(project / "casemate.toml")
    cart, mail = loaded.functions
    assert with_everything_declared(cart, loaded).grants == (UPLOADS, JOBS)
    assert [g.text for g in with_everything_declared(mail, loaded).grants] == [
        "bucket uploads",
        "queue jobs",
    ]


def test_a_command_is_run_with_the_node_s_address(grants_node, tmp_path) -> None:
    credentials = grants_node.connect().credentials
    script = f'printf "%s %s" "$CASEMATE_URL" "$CASEMATE_KEY" > {tmp_path}/out; exit 7'
    assert run_command(["sh", "-c", script], credentials) == 7
    assert (tmp_path / "out").read_text() == f"{credentials.url} {credentials.key}"
    with pytest.raises(CommandError, match="cannot be run"):
        run_command([str(tmp_path / "nothing")], credentials)


@pytest.fixture
def learned_run(project, grants_node) -> GrantsNode:
    loaded = load(project / "casemate.toml")
    for spec in (*loaded.functions, loaded.functions[0]):
        grants_node.deploy(with_everything_declared(spec, loaded))
    grants_node.use("queue jobs", "send")
    grants_node.use("secret key", "read", version=2)
    grants_node.use("bucket gone", "read", version=2)
    grants_node.use("egress 10.0.0.1:80", "connect", version=2)
    grants_node.use("egress api.example.com:443", "connect", version=2)
    grants_node.use("function nobody", "invoke", version=2)
    return grants_node


def test_what_a_run_used_is_proposed_for_each_function(learned_run, project, capsys) -> None:
    propose(learned_run.connect(), project / "casemate.toml", write=False)
    printed = capsys.readouterr()
    assert printed.out == (
        '[function.cart.grants]\nqueues = ["jobs"]\nsecrets = ["key"]\n'
        'egress = [\n  { host = "api.example.com" },\n]\n\n'
    )
    assert "bucket gone: read: declare it with [bucket.gone] first" in printed.err
    assert "egress 10.0.0.1:80: connect: grant it by hand with private = true" in printed.err
    assert "function nobody: invoke: the manifest has no such function" in printed.err
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_a_run_that_invoked_nothing_is_said_to_have_taught_nothing(
    learned_run, project, capsys
) -> None:
    learned_run.invoked = False
    learned_run.uses.clear()
    propose(learned_run.connect(), project / "casemate.toml", write=True)
    told = capsys.readouterr().err
    assert "cart was not invoked" in told
    assert "Nothing was learned" in told
    assert "are what was used" not in told
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_what_a_run_used_is_written_and_loads(learned_run, project) -> None:
    propose(learned_run.connect(), project / "casemate.toml", write=True)
    loaded = load(project / "casemate.toml")
    assert [g.text for g in loaded.functions[0].grants] == [
        "queue jobs",
        "secret key",
        "egress api.example.com:443",
    ]
    assert loaded.functions[1].grants == ()
    propose(learned_run.connect(), project / "casemate.toml", write=True)
    assert load(project / "casemate.toml") == loaded


@pytest.fixture
def development(learned_run, monkeypatch) -> list[dict[str, object]]:
    """`casemate dev` on a node that is not started; what it would be started with is noted."""
    started: list[dict[str, object]] = []

    @contextmanager
    def node(data, host, port, risks, *, names, learn):
        started.append({"host": host, "learn": learn})
        yield dev_command._Running(learned_run.connect().credentials, Mock(poll=lambda: None))

    monkeypatch.setattr(dev_command, "_node", node)
    monkeypatch.setattr(dev_command, "shown", lambda *_, **__: nullcontext())
    monkeypatch.setattr(dev_command, "_deploy_all", lambda *_, **__: True)
    return started


def test_dev_learns_from_a_command_that_succeeds(run, development, project, learned_run) -> None:
    out = run(dev_command.app, "--learn", "--write", "--", "sh", "-c", "exit 0")
    assert 'secrets = ["key"]' in out
    assert development == [{"host": "127.0.0.1", "learn": True}]
    assert 'secrets = ["key"]' in (project / "casemate.toml").read_text()


@pytest.fixture
def notes(monkeypatch) -> list[str]:
    """What is told while it waits, without any wait."""
    told: list[str] = []
    monkeypatch.setattr(learning, "note", lambda text, *_: told.append(text))
    monkeypatch.setattr(learning, "_LOOK_SECONDS", 0.0)
    return told


def test_dev_learns_from_what_its_command_leaves_to_be_done(
    run, development, learned_run, notes
) -> None:
    learned_run.running, learned_run.inbox = [2, 1], [1, 3]
    assert 'secrets = ["key"]' in run(dev_command.app, "--learn", "--", "sh", "-c", "exit 0")
    assert notes[0] == "Waiting, for up to 30 s: 2 calls that run."
    assert "any longer" not in " ".join(notes)
    assert not learned_run.running and not learned_run.inbox


def test_dev_waits_for_what_never_ends_for_a_while_alone(
    run, development, learned_run, notes, monkeypatch
) -> None:
    monkeypatch.setattr(learning, "_SETTLE_SECONDS", 0.1)
    learned_run.inbox = [1] * 1_000_000
    assert 'secrets = ["key"]' in run(dev_command.app, "--learn", "--", "sh", "-c", "exit 0")
    assert "Not waited for any longer: 1 event that waits" in " ".join(notes)


def test_dev_writes_nothing_after_a_command_that_fails(run, development, project) -> None:
    with pytest.raises(CommandError, match="sh ended with 3"):
        run(dev_command.app, "--learn", "--write", "--", "sh", "-c", "exit 3")
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_dev_without_a_command_proposes_when_it_is_ended(
    run, development, project, monkeypatch
) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(dev_command, "_watch", interrupted)
    assert 'secrets = ["key"]' in run(dev_command.app, "--learn")
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_dev_starts_no_node_that_others_could_use_to_go_beyond_grants(run, development) -> None:
    with pytest.raises(UsageError):
        run(dev_command.app, "--learn", "--host", "0.0.0.0")
    assert development == []


def test_a_function_that_was_not_deployed_keeps_its_grants(project, grants_node, capsys) -> None:
    propose(grants_node.connect(), project / "casemate.toml", write=True)
    assert "cart was not deployed" in capsys.readouterr().err
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_errors_are_ours(grants_node, run) -> None:
    with pytest.raises(CasemateError, match="no such function"):
        run(grants_command.app, "show", "shop/none")


def test_grants_of_a_function_that_was_not_invoked_stay_as_they_are(
    run, development, project, grants_node
) -> None:
    loaded = load(project / "casemate.toml")
    for spec in loaded.functions:
        grants_node.deploy(with_everything_declared(spec, loaded))
    grants_node.invoked = False
    grants_node.uses.clear()
    before = (project / "casemate.toml").read_text()
    run(dev_command.app, "--learn", "--write", "--", "sh", "-c", "exit 0")
    assert (project / "casemate.toml").read_text() == before

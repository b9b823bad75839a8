"""Building, uploading and deploying."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from api_fake_control import INVOKER_TEXT
from cli_node import Answer

import casemate.build
from casemate.api import StartFailedError
from casemate.build.bundle import BuiltBundle
from casemate.cli import watching
from casemate.cli.changes import changes
from casemate.cli.client import NodeClient
from casemate.cli.errors import UnreachableError
from casemate.cli.hole_check import JudgedBundle
from casemate.cli.watching import Result, Tried
from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.denial import DenialKind
from casemate.model.deployment import Alias
from casemate.model.errors import InvalidInputError
from casemate.model.function import (
    Delivery,
    Destination,
    DestinationKind,
    EventFormat,
    FunctionSpec,
    HttpTrigger,
    Isolation,
    Limits,
)
from casemate.model.grant import Grant, GrantKind, Resources
from casemate.model.metrics import VersionMetrics
from casemate.model.principal import Action
from casemate.model.trigger import QueueTrigger, ScheduleTrigger
from casemate.model.vulnerability import JudgedFunction
from casemate.operations.bundles import FindPieces, PutBundle
from casemate.operations.functions import CheckDeploy, Forgets, NoteRefusedDeploy
from casemate.operations.signing import PutAttestation
from support.advisories import import_small
from support.package_index import fake_index

MANIFEST = """\
[project]
name = "shop"
[function.cart]
handler = "app:handle"
public = true
[[function.cart.http]]
method = "GET"
path = "/cart"
[function.mail]
handler = "app:handle"
"""


@pytest.fixture
def project(home) -> Path:
    (home / "casemate.toml").write_text(MANIFEST)
    (home / "app.py").write_text("def handle(event, context):\n    return 1\n")
    return home


METADATA = "deps/pillow-11.0.dist-info/METADATA"
PILLOW = b"Metadata-Version: 2.1\nName: pillow\nVersion: 11.0\n"


@pytest.fixture
def built(node, monkeypatch):
    """Builds in place of the real build: the code alone, without a sandbox to compile it in."""
    import_small(node.parts.service.advisories.gate.place)

    def build(
        root,
        project,
        spec,
        out,
        *,
        progress,
        relock,
        interpreters,
        known,
        resources=None,
        lend=None,
    ) -> BuiltBundle:
        progress("copying")
        code = (root / "app.py").read_bytes()
        if b"SYNTAX" in code:
            raise InvalidInputError("app.py is not Python.", next_step="Mend it.")
        manifest = BundleManifest(
            project=project,
            function=msgspec.structs.replace(spec, python="3.12"),
            resources=(resources or Resources()).granted(spec.grants),
            lock_sha256=None,
            packages=(LockedPackage(name="pillow", version="11.0"),),
            files=tuple(
                BundleFile(path=path, size=len(text), sha256=hashlib.sha256(text).hexdigest())
                for path, text in (("code/app.py", code), (METADATA, PILLOW))
            ),
        )
        digest = manifest.digest()
        folder = out / digest
        (folder / "code").mkdir(parents=True, exist_ok=True)
        (folder / "code/app.py").write_bytes(code)
        (folder / METADATA).parent.mkdir(parents=True, exist_ok=True)
        (folder / METADATA).write_bytes(PILLOW)
        (folder / "bundle.json").write_bytes(manifest.canonical())
        node.control.specs[digest] = manifest.function
        warnings = ("relocked",) if relock else ()
        return BuiltBundle(digest=digest, path=folder, manifest=manifest, warnings=warnings)

    monkeypatch.setattr("casemate.build.bundle.build", build)
    monkeypatch.setattr(casemate.build, "find_interpreters", lambda **_: ())


def test_build_prints_digest_size_and_packages(cli, project, built) -> None:
    result = cli("build", "cart", "--relock")
    header, row = result.out.splitlines()
    assert header.split() == ["FUNCTION", "DIGEST", "SIZE", "PYTHON", "PACKAGES"]
    assert "pillow 11.0" in row
    assert "Warning: shop/cart: relocked" in result.err
    document = json.loads(cli("build", "--json", "--out", "there").out)
    assert [b["function"] for b in document["bundles"]] == ["cart", "mail"]
    assert Path(document["bundles"][0]["path"]).parent == Path("there")


def test_deploy_says_what_it_did_and_what_changed(cli, project, built, node) -> None:
    result = cli("deploy")
    assert result.code == 0, result.err
    assert "shop/cart  version 1 is live\n" in result.out
    assert f"{node.url}/invoke/shop/cart" in result.out
    assert "route    GET /cart" in result.out
    assert result.out.count("PUBLIC") == 1
    assert len(node.control.bundles) == 2
    text = MANIFEST + '[function.mail.limits]\nmemory = "512MB"\n'
    (project / "casemate.toml").write_text(text)
    result = cli("deploy")
    assert "shop/cart  version 1 is live, unchanged\n" in result.out
    assert "shop/mail  without a contract" in result.err
    assert "shop/cart  without a contract" not in result.err, "it was told when that was deployed"
    assert "shop/mail  version 2 is live, before it 1\n" in result.out
    assert "changed  memory 256 MB → 512 MB" in result.out


def test_a_deploy_tells_what_calls_the_function_and_when(cli, project, built, node) -> None:
    triggers = """[[function.mail.schedule]]
cron = "0 3 * * *"

[[function.mail.schedule]]
every = "5m"
"""
    (project / "casemate.toml").write_text(MANIFEST + triggers)
    result = cli("deploy")
    assert result.code == 0, result.err
    # The node of these tests has no schedules, as for who may not see them.
    assert "  trigger  schedule-1: schedule '0 3 * * *' UTC\n" in result.out
    assert "  trigger  schedule-2: schedule every 5m\n" in result.out
    deployed = json.loads(cli("deploy", "--force", "--json").out)["deployed"]
    assert [len(each["triggers"]) for each in deployed] == [0, 2]
    assert "trigger  " not in cli("deploy").out, "nothing was deployed"


def test_what_would_be_granted_beyond_a_live_version_is_told_as_more(
    cli, project, began, node
) -> None:
    assert cli("deploy").code == 0
    manifest = (project / "casemate.toml").read_text()
    granted = "[bucket.in]\n" + manifest.replace("[function.mail]\n", GRANTED)
    (project / "casemate.toml").write_text(granted)
    assert "This would grant more than the live version has" in cli("deploy").err


def test_a_first_deploy_tells_what_the_manifest_gives_up(cli, project, built) -> None:
    """Nothing was live before, so that nothing has changed: exceptions went live untold."""
    (project / "casemate.toml").write_text(
        MANIFEST
        + """\
[[function.mail.guard]]
sink = "sql"
location = "app:handle"
reason = "filters are written by administrators"
[[function.mail.errors]]
place = "invoke"
what = "trace"
reason = "only developers reach it"
[[function.mail.logs.unmasked]]
kind = "email"
reason = "support looks orders up by address"
"""
    )
    result = cli("deploy")
    assert result.code == 0, result.err
    told = [line.strip() for line in result.out.splitlines() if "changed" in line]
    assert told == [
        "changed  guard exception sql at app:handle: report added",
        "changed  error exception trace at invoke added",
        "changed  in clear in logs email added",
    ]


@pytest.mark.parametrize("change", [{"keys": ()}, {"keys": ("f" * 64,)}, {"digest": "e" * 64}])
@pytest.mark.parametrize("command", ["sign", "deploy"])
def test_a_node_that_says_that_somebody_else_has_signed_is_left(
    cli, project, built, monkeypatch, change: dict[str, Any], command: str
) -> None:
    """Nothing is deployed on a word that this command did not give."""
    call = NodeClient.call

    def lying(self: NodeClient, operation: Any, **rest: Any) -> Any:
        answer = call(self, operation, **rest)
        if isinstance(operation, PutAttestation):
            return msgspec.structs.replace(answer, **change)
        return answer

    monkeypatch.setattr(NodeClient, "call", lying)
    result = cli(command)
    assert result.code == 1
    assert "check that it is a Casemate node" in result.err
    assert "is live" not in result.out and "is signed" not in result.out


def test_an_internal_function_has_no_address(cli, project, built, node) -> None:
    manifest = (project / "casemate.toml").read_text()
    (project / "casemate.toml").write_text(f"{manifest}internal = true\n")
    shown = cli("deploy").out
    assert "invoke/shop/mail" not in shown and "invoke/shop/cart" in shown
    assert "internal" in cli("show", "mail").out and "address" not in cli("show", "mail").out
    listed = cli("ls").out
    assert "its project" in listed and "everyone" in listed
    node.answer = Answer(403, {"content-type": "application/problem+json"}, b"{}")
    refused = cli("invoke", "mail", "{}")
    assert refused.code == 4 and "shop/mail is internal" in refused.err
    assert "is internal" not in cli("invoke", "cart", "{}").err


@pytest.mark.parametrize("arguments", [(), ("--approve",), ("cart", "--weight", "10")])
def test_who_may_not_deploy_is_told_before_anything_is_built(
    cli, project, built, node, monkeypatch, arguments
) -> None:
    """All was resolved, downloaded and compiled first."""
    began = []
    monkeypatch.setattr("casemate.build.bundle.build", lambda *_, **__: began.append(1))
    monkeypatch.setenv("CASEMATE_KEY", INVOKER_TEXT)
    result = cli("deploy", *arguments)
    said = " ".join(result.err.split())
    assert result.code == 4, said
    assert "may not function:deploy on function:shop/cart." in said
    nor = "Nor on function:shop/mail. " if "cart" not in arguments else ""
    assert f"function:shop/cart. {nor}Nothing was built." in said
    assert not began
    [advised] = re.findall(r"`casemate (can [^`]+)`", said)
    shown = cli(*advised.split())
    assert shown.code == 1 and shown.out.startswith("deny"), "as it is printed"


def test_who_may_not_approve_is_told_before_anything_is_built(
    cli, project, built, node, monkeypatch
) -> None:
    began = []
    monkeypatch.setattr("casemate.build.bundle.build", lambda *_, **__: began.append(1))
    policy = node.parts.service.policy
    allows = policy.allows

    def without(principal, action, resource, **rest):
        return action is not Action.GRANT_APPROVE and allows(principal, action, resource, **rest)

    monkeypatch.setattr(policy, "allows", without)
    result = cli("deploy", "--approve")
    assert "may not grant:approve on function:shop/cart" in " ".join(result.err.split())
    assert not began


@pytest.mark.parametrize("arguments", [(), ("--approve",)])
def test_rights_are_asked_for_once_for_all_functions(cli, project, built, node, arguments) -> None:
    """It was asked once or twice for each, one after the other."""
    node.requests.clear()
    assert cli("deploy", *arguments).code == 0
    assert [path for _, path, *_ in node.requests].count("/api/v1/deployments/check") == 1
    assert not [path for _, path, *_ in node.requests if "decide" in path or "whoami" in path]


def test_a_node_of_an_earlier_release_decides_the_deploy_alone(
    cli, project, built, node, monkeypatch
) -> None:
    asking = NodeClient.request

    def earlier(self, operation, **rest):
        if isinstance(operation, CheckDeploy):
            return self.exchange("POST", "/api/v1/deployments/not-there", content=b"{}")
        return asking(self, operation, **rest)

    monkeypatch.setattr(NodeClient, "request", earlier)
    assert cli("deploy").code == 0


def test_who_may_not_deploy_is_on_record(cli, project, built, node, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_KEY", INVOKER_TEXT)
    assert cli("deploy").code == 4
    [denied] = node.parts.denied
    assert (denied.by, denied.kind) == ("token:invoker", DenialKind.AUTHORIZATION)
    assert (denied.action, denied.resource) == ("function:deploy", "function:shop/cart")


GRANTED = """\
[function.mail]
grants = { buckets = [{ name = "in", actions = ["read"] }] }
"""


def test_a_deploy_that_is_refused_here_for_its_grants_is_on_record(
    cli, project, built, node
) -> None:
    """Nothing of it reached the node, whose journal had no word of it."""
    manifest = (project / "casemate.toml").read_text()
    granted = "[bucket.in]\n" + manifest.replace("[function.mail]\n", GRANTED)
    (project / "casemate.toml").write_text(granted)
    result = cli("deploy")
    assert result.code == 4 and "A first version with grants needs an approval" in result.err
    [denied] = node.parts.denied
    assert (denied.kind, denied.resource) == (DenialKind.GRANTS, "function:shop/mail")
    assert denied.by == "token:owner" and "sent nothing" in denied.reason


def test_a_deploy_by_an_exception_names_it_beside_what_it_accepts(
    cli, project, built, monkeypatch
) -> None:
    def judged(client, wanted):
        let = JudgedFunction(problems=("There are no advisories.",), exception="exc_9f2c51aa03b1")
        return [JudgedBundle(function="shop/cart", judged=let)]

    monkeypatch.setattr("casemate.cli.commands.deploy.judged_bundles", judged)
    result = cli("deploy")
    assert result.code == 0
    told = "shop/cart: There are no advisories. The exception exc_9f2c51aa03b1 accepts it."
    assert told in result.err


def test_a_deploy_that_is_refused_here_for_its_packages_is_on_record(
    cli, project, built, node, monkeypatch
) -> None:
    def judged(client, wanted):
        refused = JudgedFunction(problems=("There are no advisories.",))
        return [JudgedBundle(function="shop/cart", judged=refused)]

    monkeypatch.setattr("casemate.cli.commands.deploy.judged_bundles", judged)
    assert cli("deploy").code == 1
    [denied] = node.parts.denied
    assert (denied.kind, denied.resource) == (DenialKind.ADVISORIES, "function:shop/cart")


def test_a_refusal_stands_though_it_cannot_be_recorded(
    cli, project, built, node, monkeypatch
) -> None:
    def gone(self, operation, **rest):
        if isinstance(operation, NoteRefusedDeploy):
            raise UnreachableError("It is gone.", next_step="Start it.")
        return asking(self, operation, **rest)

    asking = NodeClient.request
    monkeypatch.setattr(NodeClient, "request", gone)
    manifest = (project / "casemate.toml").read_text()
    granted = "[bucket.in]\n" + manifest.replace("[function.mail]\n", GRANTED)
    (project / "casemate.toml").write_text(granted)
    result = cli("deploy")
    assert result.code == 4 and "A first version with grants needs an approval" in result.err


def test_a_bundle_the_node_has_is_not_sent_again(cli, project, built, node) -> None:
    cli("deploy", "cart")
    node.requests.clear()
    document = json.loads(cli("deploy", "cart", "--force", "--json").out)
    assert document["deployed"][0]["version"] == 2
    assert document["deployed"][0]["uploaded"] is False
    assert [r[0] for r in node.requests] == ["POST", "GET", "POST", "HEAD", "PUT", "POST"]


def test_the_archive_is_one_that_unpacks(cli, project, built, node, tmp_path) -> None:
    cli("deploy", "mail")
    ((digest, archive),) = node.control.bundles.items()
    file = tmp_path / "x.tar.gz"
    file.write_bytes(archive)
    with file.open("rb") as source:
        assert casemate.build.unpack(source, tmp_path / digest, digest).function.name == "mail"


def test_weights_count_as_a_change(cli, project, built) -> None:
    cli("deploy", "mail")
    cli("deploy", "mail", "--force")
    cli("promote", "mail", "1=50", "2=50")
    assert "version 3 is live" in cli("deploy", "mail").out


def tried_as(monkeypatch, *results: Result) -> list[str]:
    """Has trials end so, in order; returns which functions were watched."""
    watched: list[str] = []

    def watch(_client: object, aliases: Sequence[Alias], seconds: int) -> list[Tried]:
        watched.extend(alias.function for alias in aliases)
        assert seconds == 60
        assert all(a.trial is not None and a.targets[1].weight == 20 for a in aliases)
        return [
            Tried(
                function=f"{alias.project}/{alias.function}",
                version=alias.targets[1].version,
                back=alias.targets[0].version,
                result=result,
                reason="as it was told",
                old=VersionMetrics(version=1),
                new=VersionMetrics(version=2),
            )
            for alias, result in zip(aliases, results, strict=True)
        ]

    monkeypatch.setattr(watching, "watch", watch)
    return watched


def test_a_share_of_the_calls_is_for_what_has_changed_alone(
    cli, project, built, monkeypatch
) -> None:
    cli("deploy")
    text = MANIFEST + '[function.mail.limits]\nmemory = "512MB"\n'
    (project / "casemate.toml").write_text(text)
    watched = tried_as(monkeypatch, Result.PROMOTED)
    result = cli("deploy", "--weight", "20")
    assert result.code == 0, result.err
    assert watched == ["mail"]
    assert "shop/mail  version 2 gets 20 % of the calls, version 1 the others" in result.out
    assert "shop/mail: version 2 promoted, live is version 2" in result.out


@pytest.mark.parametrize("result", [Result.GONE_BACK, Result.UNDECIDED, Result.OVERTAKEN])
def test_what_is_tried_and_not_promoted_is_told_by_the_exit_code(
    cli, project, built, monkeypatch, result: Result
) -> None:
    cli("deploy")
    tried_as(monkeypatch, Result.PROMOTED, result)
    done = cli("deploy", "--force", "--weight", "20", "--watch", "60", "--json")
    assert done.code == 1
    told = json.loads(done.out)
    assert [one["result"] for one in told["tried"]] == ["promoted", result.value]


def test_a_first_deploy_has_no_calls_to_share(cli, project, built, node) -> None:
    done = cli("deploy", "--weight", "20")
    assert done.code == 1
    assert "no version that is live, so there is nothing to go back to" in done.err
    assert "Nothing is deployed" in done.err
    assert cli("ls", "--json").out.count('"function"') == 0


def test_an_import_error_is_shown_in_full(cli, project, built, node, monkeypatch) -> None:
    async def broken(*_a, **_k):
        raise StartFailedError(
            "shop/cart cannot be started.",
            type="ModuleNotFoundError",
            message="No module named 'x\x1b[2J'",
            trace="Traceback\n  import x",
        )

    monkeypatch.setattr(node.control, "start_once", broken)
    result = cli("deploy")
    assert result.code == 1
    assert "  import x\n" in result.err
    assert "ModuleNotFoundError: No module named 'x\\x1b[2J'" in result.err
    assert "Nothing is deployed: shop/cart, shop/mail stay as they were." in result.err
    document = cli("deploy", "--json")
    assert document.code == 1
    assert json.loads(document.out)["not_deployed"] == ["shop/cart", "shop/mail"]


def test_an_error_that_ends_its_trace_is_told_once(cli, project, built, node, monkeypatch) -> None:
    async def broken(*_a, **_k):
        trace = "Traceback\n  import x\nModuleNotFoundError: No module named 'x'\n"
        raise StartFailedError(
            "shop/cart cannot be started.",
            type="ModuleNotFoundError",
            message="No module named 'x'",
            trace=trace,
            next_step="mend it",
        )

    monkeypatch.setattr(node.control, "start_once", broken)
    told = cli("deploy").err
    assert told.count("ModuleNotFoundError") == 1
    assert "\nNext: mend" in told


def test_all_are_deployed_or_none_and_the_one_in_the_way_is_named_last(
    cli, project, built, node, monkeypatch
) -> None:
    real = node.control.start_once

    async def broken(project, function, digest, *, by) -> None:
        if function == "mail":
            raise StartFailedError("It cannot be started.", type="E", message="no", trace="T")
        await real(project, function, digest, by=by)

    monkeypatch.setattr(node.control, "start_once", broken)
    result = cli("deploy")
    assert result.code == 1
    assert node.control.deployed == {}
    assert "version" not in result.out
    told = result.err.split("Nothing is deployed")[1]
    assert "shop/mail: It cannot be started." in told
    document = json.loads(cli("deploy", "--json").out)
    assert document["deployed"] == []
    assert document["not_deployed"] == ["shop/cart", "shop/mail"]
    monkeypatch.setattr(node.control, "start_once", real)
    assert cli("deploy").out.count("is live") == 2


def test_nothing_is_deployed_if_one_cannot_be_built(cli, project, built, node) -> None:
    (project / "app.py").write_text("def handle(): pass  # SYNTAX")
    result = cli("deploy")
    assert result.code == 1
    assert node.control.deployed == {}
    assert "Next: Mend it." in result.err


def test_names_and_manifests(cli, project, built) -> None:
    assert cli("deploy", "shop/mail").code == 0
    result = cli("deploy", "none")
    assert result.code == 3
    assert "cart, mail" in result.err
    assert cli("build", "-m", "nowhere.toml").code == 2
    (project / "casemate.toml").write_text("[project]\nname = 1\n")
    result = cli("build")
    assert result.code == 1
    assert "casemate.toml:2" in result.err


def test_found_from_a_folder_below(cli, project, built, monkeypatch) -> None:
    (project / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep/er")
    assert cli("build").code == 0


def test_the_node_is_asked_before_anything_is_built(cli, project, built, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_KEY", "cm_wrong_" + "z" * 43)
    result = cli("deploy")
    assert result.code == 4
    assert "Building" not in result.err


def test_progress_is_plain_lines_without_a_terminal(cli, project, built) -> None:
    result = cli("deploy", "mail")
    lines = [line for line in result.err.splitlines() if "shop/mail" in line]
    steps = [line for line in lines if "contract" not in line]
    assert [step.split()[0] for step in steps] == ["Building", "Packing", "Uploading", "Starting"]
    assert "\x1b" not in result.err


# -- before anything is built ---------------------------------------------------------------------


@pytest.fixture
def began(built, monkeypatch) -> list[str]:
    """Names of the functions whose build began."""
    import casemate.build.bundle as building

    names: list[str] = []
    build = building.build

    def noted(root, project, spec, out, **rest):
        names.append(spec.name)
        return build(root, project, spec, out, **rest)

    monkeypatch.setattr(building, "build", noted)
    return names


def in_the_way(message: str, about: str = "", next_step: str = "Mend it.") -> InvalidInputError:
    found = InvalidInputError(message, next_step=next_step)
    found.about = about
    return found


def test_what_the_node_would_refuse_is_told_before_anything_is_built(
    cli, project, began, node
) -> None:
    """Advisories that were missing stopped a deploy after minutes of building."""
    node.control.foreseen = [in_the_way("The packages cannot be looked up.", "shop/cart")]
    result = cli("deploy")
    said = " ".join(result.err.split())
    assert result.code == 1 and began == []
    assert "shop/cart: The packages cannot be looked up. Nothing was built." in said
    assert "Next: Mend it." in said
    assert node.control.deployed == {} and node.control.bundles == {}


def test_all_that_the_node_would_refuse_is_told_at_once(cli, project, began, node) -> None:
    node.control.foreseen = [
        in_the_way("The packages cannot be looked up.", "shop/cart", "Import advisories."),
        in_the_way("The packages cannot be looked up.", "shop/mail", "Import advisories."),
        in_the_way("The route GET /cart is other's.", "shop/cart"),
        in_the_way("shop asks for the signatures of 1 of 1 keys."),
    ]
    result = cli("deploy")
    said = " ".join(result.err.split())
    assert result.code == 1 and began == []
    assert "would not deploy this" in said and said.count("cannot be looked up") == 1
    assert "shop/cart, shop/mail: The packages cannot be looked up. Next: Import adv" in said
    assert "shop/cart: The route GET /cart is other's. Next: Mend it." in said
    assert "shop asks for the signatures" in said
    document = json.loads(cli("deploy", "--json").out)
    assert document["error"].count("Next:") == 4
    assert document["not_deployed"] == ["shop/cart", "shop/mail"] and document["deployed"] == []


def test_grants_that_nobody_has_approved_are_told_with_it(cli, project, began, node) -> None:
    manifest = (project / "casemate.toml").read_text()
    granted = "[bucket.in]\n" + manifest.replace("[function.mail]\n", GRANTED)
    (project / "casemate.toml").write_text(granted)
    result = cli("deploy")
    assert result.code == 4 and began == [], "known from the manifest alone"
    node.control.foreseen = [in_the_way("Too much waits.")]
    both = cli("deploy")
    said = " ".join(both.err.split())
    assert both.code == 4 and began == []
    assert "A first version with grants needs an approval" in said
    assert "Too much waits. Next: Mend it." in said
    document = json.loads(cli("deploy", "--json").out)
    assert list(document["widening"]) == ["shop/mail"]
    approved = cli("deploy", "--approve")
    assert approved.code == 1 and "Too much waits." in approved.err and began == []


def test_what_data_would_forget_is_told_with_the_grants_that_need_an_approval(
    cli, project, began, node
) -> None:
    """It was approved unseen: only the grants, which the manifest tells, were in the refusal."""
    manifest = (project / "casemate.toml").read_text()
    granted = "[bucket.in]\n" + manifest.replace("[function.mail]\n", GRANTED)
    (project / "casemate.toml").write_text(granted)
    fewer = Grant(
        kind=GrantKind.BUCKET, name="in", actions=("forget all but 1 revisions of objects",)
    )
    node.control.forgotten = [Forgets(function="shop/mail", grants=(fewer,))]
    result = cli("deploy")
    said = " ".join(result.err.split())
    assert result.code == 4 and began == []
    assert "+ bucket in: forget all but 1 revisions of objects" in said
    assert "+ bucket in: read" in said
    approved = cli("deploy", "--approve")
    assert "bucket in: forget all but 1 revisions of objects" in approved.out


def test_the_node_is_told_what_is_planned_and_by_which_key(cli, project, built, node) -> None:
    (project / "requirements.txt").write_text("pillow\n")
    manifest = (project / "casemate.toml").read_text()
    (project / "casemate.toml").write_text(manifest + 'requirements = "requirements.txt"\n')
    asked = []

    def checks() -> dict[str, Any]:
        [body] = [body for _, path, _, body in node.requests if path.endswith("/check")]
        node.requests.clear()
        asked.append(json.loads(body))
        return asked[-1]

    assert cli("deploy").code == 0
    assert checks().get("key") is None, "none was made yet"
    assert [(one.function, one.packages) for one in node.control.planned] == [
        ("cart", False), ("mail", True),
    ]  # fmt: skip
    assert cli("deploy").code == 0
    assert re.fullmatch("[0-9a-f]{64}", checks()["key"])
    assert not asked[0].get("sigstore")
    # A file that names no package needs nothing to look packages up in.
    (project / "requirements.txt").write_text("# none\n--index-url https://pypi.example/simple\n")
    assert cli("deploy").code == 0
    assert [one.packages for one in node.control.planned] == [False, False]


def test_what_was_signed_is_read_before_anything_is_built_or_asked(cli, node, project) -> None:
    refused = cli("deploy", "--sigstore", "missing.sigstore.json")
    assert refused.code == 1
    assert "missing.sigstore.json cannot be read: No such file or directory." in refused.err
    assert "Next: Name a file that is there" in refused.err
    assert "Building" not in refused.err + refused.out
    assert node.requests == []


@pytest.mark.parametrize("status", [400, 413, 422, 429])
def test_a_node_that_takes_less_of_a_question_is_asked_for_rights_alone(
    cli, project, built, node, monkeypatch, status
) -> None:
    asking, questions = NodeClient.request, []

    def earlier(self, operation, **rest):
        if isinstance(operation, CheckDeploy):
            questions.append(operation)
            if operation.planned:
                return httpx2.Response(status)
        return asking(self, operation, **rest)

    monkeypatch.setattr(NodeClient, "request", earlier)
    assert cli("deploy").code == 0
    assert [bool(one.planned) for one in questions] == [True, False]
    monkeypatch.setenv("CASEMATE_KEY", INVOKER_TEXT)
    assert cli("deploy").code == 4


# -- code alone -----------------------------------------------------------------------------------


@pytest.fixture
def locked(built, monkeypatch) -> None:
    """Bundles have dependencies of which there is a lock, as those of the real build."""
    import casemate.build.bundle as building

    build = building.build

    def with_lock(*given, **rest) -> BuiltBundle:
        made = build(*given, **rest)
        manifest = msgspec.structs.replace(made.manifest, lock_sha256="1" * 64)
        folder = made.path.parent / manifest.digest()
        if not folder.exists():
            made.path.rename(folder)
        (folder / "bundle.json").write_bytes(manifest.canonical())
        return BuiltBundle(
            digest=manifest.digest(), path=folder, manifest=manifest, warnings=made.warnings
        )

    def build_and_tell(node_specs):
        def told(*given, **rest):
            made = with_lock(*given, **rest)
            node_specs[made.digest] = made.manifest.function
            return made

        return told

    def kept(node) -> None:
        monkeypatch.setattr(building, "build", build_and_tell(node.control.specs))

    return kept


def uploads_of(node) -> list[str]:
    """Return what was asked about dependencies and sent, in order."""
    wanted = [(m, p) for m, p, *_ in node.requests if p.endswith("/pieces") or m == "PUT"]
    node.requests.clear()
    return [
        "asked" if m == "POST" else "part" if "partial" in p else "whole"
        for m, p in wanted
        if not p.endswith("/attestation")
    ]


def test_dependencies_that_the_node_has_are_not_sent(cli, project, locked, node) -> None:
    """A change of one line sent all dependencies again."""
    locked(node)
    assert cli("deploy", "mail").code == 0
    assert uploads_of(node) == ["asked", "whole"]
    [(digest, whole)] = node.control.bundles.items()
    node.control.pieces = pieces_of(project)
    (project / "app.py").write_text("def handle(event, context):\n    return 2\n")
    document = json.loads(cli("deploy", "mail", "--json").out)
    assert document["deployed"][0]["uploaded"] and uploads_of(node) == ["asked", "part"]
    [code] = [data for one, data in node.control.bundles.items() if one != digest]
    assert b"METADATA" in gzip.decompress(whole).partition(b"code/app.py\0")[2]
    assert b"METADATA" not in gzip.decompress(code).partition(b"code/app.py\0")[2]


def pieces_of(project: Path) -> set[str]:
    return {
        piece
        for file in project.glob(".casemate/bundles/*/bundle.json")
        for piece in msgspec.json.decode(file.read_bytes(), type=BundleManifest).pieces().values()
    }


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_all_is_sent_where_the_node_cannot_put_it_together(
    cli, project, locked, node, monkeypatch, status
) -> None:
    """What it had is gone by then, or an earlier release is back in its place."""
    locked(node)
    asking = NodeClient.request

    def gone(self, operation, **rest):
        if isinstance(operation, FindPieces):
            return httpx2.Response(200, json={"digests": operation.digests})
        if isinstance(operation, PutBundle) and operation.partial:
            assert asking(self, operation, **rest).status_code == 409
            return httpx2.Response(status)
        return asking(self, operation, **rest)

    monkeypatch.setattr(NodeClient, "request", gone)
    assert cli("deploy", "mail").code == 0
    assert uploads_of(node) == ["part", "whole"]


@pytest.mark.parametrize("status", [401, 403, 413, 429, 503])
def test_another_refusal_is_told_and_nothing_more_is_sent(
    cli, project, locked, node, monkeypatch, status
) -> None:
    locked(node)
    asking = NodeClient.request

    def refused(self, operation, **rest):
        if isinstance(operation, FindPieces):
            return httpx2.Response(200, json={"digests": operation.digests})
        if isinstance(operation, PutBundle):
            assert operation.partial
            return httpx2.Response(
                status,
                json={"title": "No", "detail": "There is no room."},
                headers={"content-type": "application/problem+json"},
            )
        return asking(self, operation, **rest)

    monkeypatch.setattr(NodeClient, "request", refused)
    result = cli("deploy", "mail")
    assert result.code in (1, 4) and "There is no room." in result.err


def test_every_kind_of_change_is_told() -> None:
    before = FunctionSpec(
        name="a", handler="a:b", http=(HttpTrigger(method="GET", path="/old"),), python="3.12"
    )
    before = msgspec.structs.replace(before, environment={"OLD": "1", "KEPT": "1"})
    after = msgspec.structs.replace(
        before,
        handler="a:c",
        python="3.13",
        public=True,
        internal=True,
        environment={"NEW": "1", "KEPT": "2"},
        isolation=Isolation.INSTANCE,
        limits=Limits(timeout=0.5, cpu=2.0, processes=1),
        http=(HttpTrigger(method="POST", path="/new"),),
    )
    assert [str(change) for change in changes(before, after)] == [
        "handler a:b → a:c",
        "python 3.12 → 3.13",
        "isolation request → instance",
        "public no → yes",
        "internal no → yes",
        "cpu 1 → 2",
        "processes 32 → 1",
        "timeout 10s → 0.5s",
        "variable OLD removed",
        "variable NEW added",
        "variable KEPT one value → another",
        "route GET /old removed",
        "route POST /new added",
    ]
    assert changes(after, after) == []


def test_changes_of_events_are_told() -> None:
    queue = QueueTrigger(name="queue-1", queue="jobs")
    before = FunctionSpec(
        name="a",
        handler="a:b",
        contract="true",
        triggers=(queue, QueueTrigger(name="x", queue="y")),
    )
    after = msgspec.structs.replace(
        before,
        event_format=EventFormat.AWS,
        contract='{"maximum":1}',
        triggers=(
            msgspec.structs.replace(queue, batch=5, contract="true"),
            ScheduleTrigger(name="schedule-1", every=5.0),
        ),
        delivery=Delivery(
            attempts=5,
            backoff=2.0,
            on_failure=(Destination(kind=DestinationKind.QUEUE, name="failed"),),
        ),
    )
    assert [str(change) for change in changes(before, after)] == [
        "event_format casemate → aws",
        "trigger x removed",
        "trigger schedule-1 added",
        "trigger queue-1 batch 1 → 5",
        "attempts 3 → 5",
        "backoff 1s → 2s",
        "on_failure nowhere → queue:failed",
        "contract direct calls one → another",
        "contract queue-1 added",
    ]
    assert changes(after, after) == []


def test_contracts_are_told_before_anything_is_deployed(cli, project, built, node) -> None:
    (project / "c.json").write_text('{"type":"object"}')
    (project / "casemate.toml").write_text(MANIFEST + 'contract = "c.json"\n')
    first = cli("deploy", "mail")
    assert "tighter" not in first.err
    assert "without a contract" not in first.err
    (project / "c.json").write_text('{"type":"object","required":["id"]}')
    second = cli("deploy", "mail")
    assert second.code == 0
    assert "shop/mail  tighter  direct calls: /: required id" in second.err
    document = json.loads(cli("deploy", "--json").out)
    assert document["contracts"] == [
        {"function": "shop/cart", "trigger": what, "kind": "none", "detail": ""}
        for what in ("direct calls",)
    ]


def test_whether_everybody_may_call_it_past_its_routes_is_told(cli, project, built) -> None:
    (project / "c.json").write_text('{"type":"object"}')
    route = 'path = "/cart"\n'
    text = MANIFEST.replace("GET", "POST").replace(route, f'{route}contract = "c.json"\n')
    for settings, what in (("public = true", "its routes"), ("", "it")):
        own = settings or 'public = true\ncontract = "c.json"'
        (project / "casemate.toml").write_text(text.replace("public = true", own))
        assert f"everyone can call {what} without a token" in cli("deploy", "cart").out


@pytest.mark.sandbox
def test_the_real_build(cli, terminal, node, home) -> None:
    assert cli("init", "p").code == 0
    result = cli("deploy", "-m", "p", "--json")
    assert result.code == 0, result.err
    deployed = json.loads(result.out)["deployed"][0]
    assert deployed["function"] == "p/hello"
    assert node.control.bundles.keys() == {deployed["digest"]}
    result = terminal("deploy", "-m", "p", "--force")
    assert result.code == 0, result.out
    assert "p/hello  version 2 is live" in result.out


@pytest.mark.sandbox
def test_what_may_not_be_installed_is_not_deployed(cli, node, home, monkeypatch) -> None:
    assert cli("init", "p").code == 0
    manifest = home / "p/casemate.toml"
    text = manifest.read_text().replace(
        "[function.hello]", "[function.hello]\nrequirements = 'r.txt'"
    )
    manifest.write_text(text)
    (home / "p/r.txt").write_text("reqeusts\n")
    with fake_index() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple")
        index.add("reqeusts")
        result = cli("deploy", "-m", "p")
    assert result.code == 1
    assert "reqeusts resembles the popular package requests" in result.err
    assert 'allow = ["name"]' in result.err
    assert node.control.bundles == {}


def test_mistakes_of_the_manifest_here_are_told_as_it_is_called_here(
    cli, home, monkeypatch
) -> None:
    assert cli("init", "p").code == 0
    manifest = home / "p/casemate.toml"
    manifest.write_text(manifest.read_text().replace("handler =", "handlr ="))
    monkeypatch.chdir(home / "p")
    said = cli("deploy")
    assert said.code != 0 and "\n  casemate.toml:" in said.err
    monkeypatch.chdir(home / "p/src")
    assert f"\n  {manifest}:" in cli("deploy").err

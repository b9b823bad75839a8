"""`casemate deploy`: build, upload, make live."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from casemate.cli import watching
from casemate.cli.building import Workspace
from casemate.cli.canary import (
    DEFAULT_SECONDS,
    Canary,
    WatchOption,
    WeightOption,
    require_numbers,
    tell_left,
)
from casemate.cli.changes import public_shown
from casemate.cli.client import NodeClient, connect
from casemate.cli.deployment import Deployed, Wanted
from casemate.cli.deployment import deploy as deploy_bundles
from casemate.cli.foreseen import ContractNotice, GrantRow, Plan, planned
from casemate.cli.grant_report import ApprovalNeededError
from casemate.cli.hole_check import (
    JudgedBundle,
    judged_bundles,
    require_none,
)
from casemate.cli.names import FunctionName
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.refused_deploy import REFUSALS, noted
from casemate.cli.sigstore_check import about_bundles, read_signed
from casemate.cli.terminal import (
    DIM,
    GREEN,
    YELLOW,
    note,
    print_json,
    print_labelled,
    print_line,
    print_table,
)
from casemate.model.deployment import TrialTerms
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle

app = new_app()

SigstoreOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--sigstore",
        metavar="FILE",
        help="A Sigstore bundle in which the builder signed the digest of one of the bundles. Can "
        "be given several times.",
    ),
]
FunctionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="FUNCTION", help="Functions to take; default: all."),
]
RelockOption = Annotated[
    bool, typer.Option("--relock", help="Resolve the dependencies again, to newer versions.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Make a new version even if nothing has changed.")
]
ApproveOption = Annotated[
    bool,
    typer.Option(
        "--approve",
        help="Approve grants that the live versions do not have. Needs the right grant:approve, "
        "and is recorded.",
    ),
]


@command(
    app,
    examples="$ casemate deploy\n$ casemate deploy thumbnail\n$ casemate deploy --approve\n"
    "$ casemate deploy --weight 10 --watch 300\n"
    "$ casemate deploy thumbnail --sigstore thumbnail.sigstore.json\n"
    "$ casemate deploy --json",
)
def deploy(
    functions: FunctionsArgument = None,
    manifest: ManifestOption = None,
    relock: RelockOption = False,
    force: ForceOption = False,
    approve: ApproveOption = False,
    weight: WeightOption = None,
    watch: WatchOption = None,
    sigstore: SigstoreOption = None,
    json: JsonOption = False,
) -> None:
    """Build the functions and make them live on the node.

    Before it builds anything, it asks the node what would refuse the deploy, and names all of that.
    Then it builds all functions; afterwards all are live, or none is. If one would be granted more
    than its live version, the difference is shown and nothing is deployed without --approve; a
    first deploy with any grant counts too. The node starts each function once before callers are
    sent to it. If that fails, the whole error is shown and what was live stays live.

    Unless an exception is recorded, these stop a deploy: packages with known vulnerabilities,
    packages that the node's advisories cannot judge, and licences that the node does not allow. The
    output also says which contracts became tighter than the live ones, and what has no contract.

    With --weight or --watch only that share of the calls gets the new versions: each is promoted or
    rolled back, as with casemate promote --watch. The exit code is 1 unless all were promoted.
    """
    canary = _canary(weight, watch)
    workspace = Workspace(manifest, functions or ())
    judged: list[JudgedBundle] = []
    given = read_signed(sigstore or ())
    with connect() as client:
        plan = _planned(client, workspace, approve=approve, sigstore=bool(sigstore), json=json)
        terms = _terms(client, canary, [name for name in plan.names if name in plan.before])
        bundles = _built(workspace, relock=relock)
        signed = about_bundles(given, [built.digest for _, built in bundles])
        wanted = [Wanted(name, built, plan.before.get(name)) for name, built in bundles]
        try:
            with noted(client, judged):
                judged += judged_bundles(client, [w for w in wanted if force or not w.is_live])
                require_none(judged, table=not json)
            _print_grants(() if json else plan.told)
            done = deploy_bundles(
                client, wanted, force=force, approve=approve, trial=terms, sigstore=signed
            )
        except CasemateError as error:
            if json:
                print_json(_document(client.url, plan, [], error, judged))
            elif len(bundles) > 1 and not isinstance(error, REFUSALS):
                left = ", ".join(map(str, plan.names))
                note(f"Nothing is deployed: {left} stay as they were.", YELLOW)
            raise
        for deployed in () if json else done:
            _print(deployed, canary)
        if not json:
            _print_without(plan.contracts, {one.function for one in done if not one.unchanged})
        tried = _watched(client, canary, wanted, done)
        if json:
            print_json({**_document(client.url, plan, done, None, judged), "tried": tried})
    _end(tried, told=not json)


def _planned(
    client: NodeClient, workspace: Workspace, *, approve: bool, sigstore: bool, json: bool
) -> Plan:
    """Return what is known before anything is built; raise all that refuses the deploy by then."""
    plan = planned(client, workspace, approve=approve, sigstore=sigstore)
    if not json:
        _print_tighter(plan.contracts)
        if plan.refused is None:  # till it is granted, to set one would name a grant that lacks
            _print_unset(workspace.project.name, plan.unset)
    if plan.refused is not None:
        if json:
            print_json(_document(client.url, plan, [], plan.refused, []))
        else:
            _print_grants(plan.told)
        with noted(client, ()):
            raise plan.refused
    return plan


def _built(workspace: Workspace, *, relock: bool) -> list[tuple[FunctionName, BuiltBundle]]:
    """Build what was asked for; return each with its name."""
    return [
        (workspace.name_of(built.manifest.function), built)
        for built in workspace.build(None, relock=relock)
    ]


def _end(tried: Sequence[watching.Tried], *, told: bool) -> None:
    """Tell what trials came to; exit with 1 unless all were promoted."""
    if told:
        watching.print_tried(tried)
        tell_left(tried)
    if any(one.result is not watching.Result.PROMOTED for one in tried):
        raise typer.Exit(1)


def _terms(
    client: NodeClient, canary: Canary | None, before: Sequence[FunctionName]
) -> TrialTerms | None:
    """Return how what is deployed is tried, if it is, and by somebody who may see the numbers."""
    if canary is None:
        return None
    require_numbers(client, before)
    return canary.terms


def _canary(weight: int | None, watch: int | None) -> Canary | None:
    if weight is None and watch is None:
        return None
    return Canary(weight, DEFAULT_SECONDS if watch is None else watch)


def _watched(
    client: NodeClient, canary: Canary | None, wanted: Sequence[Wanted], done: Sequence[Deployed]
) -> list[watching.Tried]:
    """Return what came of the versions that were deployed for a share of the calls."""
    changed = {one.function for one in done if not one.unchanged}
    names = [one.name for one in wanted if str(one.name) in changed]
    return canary.watch(client, names) if canary is not None and names else []


def _print_unset(project: str, secrets: Sequence[str]) -> None:
    """Say which secrets are wanted, and by which command they are set."""
    for secret in secrets:
        whole = f"{project}/{secret}"
        note(f"{whole} is granted and not set: `casemate secrets set {whole}`", YELLOW)


def _print_grants(rows: Sequence[GrantRow]) -> None:
    if rows:
        print_table(("function", "is", "grant"), rows, empty="", below=("grant",))


def _print_tighter(contracts: Sequence[ContractNotice]) -> None:
    """Tell what would be refused from now on: whoever approves of a deploy has to know."""
    for notice in contracts:
        if notice.kind == "tighter":
            note(f"{notice.function}  tighter  {notice.trigger}: {notice.detail}", YELLOW)


def _print_without(contracts: Sequence[ContractNotice], deployed: Collection[str]) -> None:
    """Tell what has no contract, of what was deployed: before that it is no help."""
    without: dict[str, list[str]] = {}
    for notice in contracts:
        if notice.kind == "none" and notice.function in deployed:
            without.setdefault(notice.function, []).append(notice.trigger)
    for function, triggers in without.items():
        note(f"{function}  without a contract, so default limits apply: {', '.join(triggers)}", DIM)


def _document(
    node: str,
    plan: Plan,
    done: list[Deployed],
    error: CasemateError | None,
    judged: list[JudgedBundle],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "node": node,
        "grants": [dict(zip(("function", "is", "grant"), row, strict=True)) for row in plan.rows],
        "deployed": done,
        "error": str(error) if error is not None else None,
        "not_deployed": [str(name) for name in plan.names] if error is not None else [],
        "contracts": plan.contracts,
        "unset_secrets": plan.unset,
        "advisories": [msgspec.to_builtins(one) for one in judged],
    }
    if isinstance(error, ApprovalNeededError):
        document["widening"] = {str(name): found for name, found in error.widening}
    return document


def _print(deployed: Deployed, canary: Canary | None) -> None:
    if deployed.unchanged:
        print_line(f"{deployed.function}  version {deployed.version} is live, unchanged", DIM)
        return
    previous = f", before it {deployed.previous_version}" if deployed.previous_version else ""
    state = f"is live{previous}"
    if canary is not None:
        weight = canary.terms.weight
        state = f"gets {weight} % of the calls, version {deployed.previous_version} the others"
    print_line(f"{deployed.function}  version {deployed.version} {state}", GREEN)
    if deployed.internal:
        print_line("  internal only its triggers and functions of its project call it")
    else:
        print_line(f"  address  {deployed.address}")
    for route in deployed.routes:
        print_line(f"  route    {route}")
    for trigger in deployed.triggers:
        print_labelled("  trigger", trigger, 11)
    for change in deployed.changes:
        print_line(f"  changed  {change}")
    if deployed.public:
        how = public_shown(routed=bool(deployed.routes), direct=deployed.direct)
        print_labelled("  PUBLIC", how, 11, YELLOW)

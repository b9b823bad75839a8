"""`casemate policy`: custom roles and rules, as files in Cedar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect
from casemate.cli.errors import ExitCode
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.policy_difference import (
    compared,
    fields_of,
    in_force,
    print_widening,
    replaced,
)
from casemate.cli.terminal import note, print_json, print_line, print_table, print_text
from casemate.cli.text import moment
from casemate.model.account import PolicyFile
from casemate.operations.policies import (
    ListPolicies,
    Policies,
    PutPolicy,
    RemovePolicy,
    ShowPolicy,
)

app = new_app("Check, test, list and change the custom policies of a node.")


@command(app, examples="$ casemate policy validate deployer.cedar no-weekend.cedar")
def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Policy files to be in force together.")
    ],
    json: JsonOption = False,
) -> None:
    """Check policy files against the schema and each other. Needs no node."""
    from casemate.policy import CedarPolicy, read_policy_file

    compiled = CedarPolicy().prepare(read_policy_file(path) for path in files)
    if json:
        print_json({"policies": compiled.summaries(), "roles": sorted(compiled.roles)})
        return
    print_table(
        ("policy", "effect", "place"),
        [(p.id, p.effect, f"{p.file}:{p.line}") for p in compiled.summaries()],
        empty="There are no policies.",
    )


@command(
    app,
    examples="""\
$ casemate policy test policy-tests.toml
$ casemate policy test policy-tests.toml --policy deployer.cedar --json
""",
)
def test(
    tests: Annotated[Path, typer.Argument(metavar="TESTS", help="A file of tests (TOML).")],
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy", metavar="FILE", help="A policy file besides those that the tests name."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run tests of policies: who may do what, and by which policy. Needs no node.

    Exit code 1 if a test fails. docs/reference/policies.md describes the file.
    """
    from casemate.policy import CedarPolicy, read_policy_file
    from casemate.policy.cases import load_tests, run_tests

    loaded = load_tests(tests)
    files = [*loaded.policies, *(read_policy_file(path) for path in policy or ())]
    results = run_tests(loaded.tests, CedarPolicy().prepare(files))
    failed = sum(not result.passed for result in results)
    if json:
        print_json({"passed": len(results) - failed, "failed": failed, "tests": results})
    else:
        print_table(
            ("", "test", "expected", "decided", "by"),
            [
                (
                    "ok" if result.passed else "FAILED",
                    result.name,
                    result.expected,
                    result.decided,
                    ", ".join(result.errors or result.reasons) or "no policy allows it",
                )
                for result in results
            ],
            empty="There are no tests.",
        )
        note(f"{len(results) - failed} passed, {failed} failed.")
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


@command(
    app,
    examples="""\
$ casemate policy diff deployer.cedar
$ casemate policy diff new/deployer.cedar --before old/deployer.cedar --json
""",
)
def diff(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Policy files to be in force.")
    ],
    before: Annotated[
        list[Path] | None,
        typer.Option(
            "--before",
            metavar="FILE",
            help="A policy file of the set that FILES replace completely. Default: the node's "
            "set, of which FILES replace those of the same name.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say what policy files would newly permit, with a request for each.

    This is decided for every possible request, whoever has which role. What cannot be decided is
    named and counts. The exit code is 1 if anything would be newly permitted. With --before it
    needs no node.
    """
    from casemate.policy import read_policy_file

    given = [read_policy_file(path) for path in files]
    if before is None:
        with connect() as client:
            old = in_force(client)
        new = replaced(old, given)
    else:
        old, new = [read_policy_file(path) for path in before], given
    found = compared(old, new)
    if json:
        print_json({"widens": found.widens, **fields_of(found)})
    else:
        print_widening(found)
    if found.widens:
        raise typer.Exit(ExitCode.FAILURE)


@command(app, examples="$ casemate policy schema > casemate.cedarschema")
def schema() -> None:
    """Print the schema that policies are checked against. Needs no node."""
    from casemate.policy import SCHEMA

    print_text(SCHEMA.rstrip("\n"))


@answered(app, ListPolicies, examples="$ casemate policy ls")
def ls(found: Policies) -> None:
    """List the custom policies of the node, and all roles."""
    print_table(
        ("file", "policy", "effect", "line", "changed", "by"),
        [
            (f.name, p.id, p.effect, str(p.line), moment(f.changed_at), f.changed_by)
            for f in found.files
            for p in f.policies
        ],
        empty="There are no custom policies.",
        below=("by",),
    )
    note(f"Roles: {', '.join(found.roles)}.")


@answered(app, ShowPolicy, examples="$ casemate policy show deployer > deployer.cedar")
def show(found: PolicyFile) -> None:
    """Print a custom policy file of the node."""
    print_text(found.text.rstrip("\n"))


@asked(
    app,
    PutPolicy,
    fixed={"text": ""},
    examples="""\
$ casemate policy put deployer deployer.cedar
$ casemate policy put deployer deployer.cedar --no-wider
""",
)
def put(
    wanted: PutPolicy,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file with its policies.")],
    json: JsonOption = False,
) -> None:
    """Put a policy file in force on the node, replacing the one of that name.

    The node checks it together with the others; if it is refused, nothing changes. With --no-wider
    it is compared with what is then in force, as `casemate policy diff` does; that needs
    policy:read.
    """
    from casemate.policy import compile_policies, read_policy_file

    given = read_policy_file(file, wanted.name)
    compile_policies([given])
    with connect() as client:
        stored = client.call(msgspec.structs.replace(wanted, text=given.text))
    if json:
        print_json(stored)
    else:
        ids = ", ".join(policy.id for policy in stored.policies)
        print_line(f"The policy file {stored.name} is in force: {ids}.")


@answered(
    app,
    RemovePolicy,
    examples="$ casemate policy rm deployer",
    confirm="Remove the policy file {it.name} from {call.url}?",
    removed="{it.name}",
)
def rm(call: Call) -> None:
    """Remove a policy file from the node. This takes effect at once."""
    print_line(f"The policy file {call.operation.name} is removed.")

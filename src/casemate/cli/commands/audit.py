"""`casemate audit`: what is wrong with an application before it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.errors import CommandError, ExitCode, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    BOLD,
    CYAN,
    RED,
    YELLOW,
    note,
    print_command,
    print_json,
    print_json_text,
    print_line,
    print_prose,
    print_table,
    print_text,
)
from casemate.cli.text import json_text, one_line
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.audit import Options, Report

app = new_app()

NODE = "node"
"""What is audited then is the running node; a folder of that name is `./node`."""
COMMITS = 1_000
"""That are searched for secrets unless another number is asked for."""


class Format(StrEnum):
    """Format of the report."""

    TERMINAL = "terminal"
    JSON = "json"
    SARIF = "sarif"
    HTML = "html"
    JUNIT = "junit"


class Grave(StrEnum):
    """How grave findings are."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


_Path = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A folder, or one template or manifest; `node` means the running node itself.",
    ),
]
_Format = Annotated[Format, typer.Option("--format", help="Format of the report.")]
_Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the report to this file.")
]
_FailOn = Annotated[
    Grave,
    typer.Option("--fail-on", help="The exit code is 1 for findings of this severity or above."),
]
_Least = Annotated[
    Grave, typer.Option("--least", help="Show findings of this severity or above on the terminal.")
]
_Rule = Annotated[
    list[str] | None, typer.Option("--rule", metavar="RULE", help="Apply only this rule.")
]
_Without = Annotated[
    list[str] | None, typer.Option("--without", metavar="RULE", help="Leave this rule out.")
]
_Baseline = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="Accept the findings that this file names."),
]
_WriteBaseline = Annotated[
    Path | None,
    typer.Option(
        "--write-baseline",
        metavar="FILE",
        help="Accept all present findings: write them to this file.",
    ),
]
_Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="REVISION", help="Report only files that changed since this revision."
    ),
]
_Commits = Annotated[
    int,
    typer.Option(
        "--commits", min=0, max=100_000, metavar="N",
        help="Search the newest N commits for secrets, with --since those after it; 0 searches "
             "none.",
    ),
]  # fmt: skip
_Fix = Annotated[bool, typer.Option("--fix", help="Fix what is safe to fix, and show the changes.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --fix: show the changes and write none.")
]
_Duties = Annotated[
    bool, typer.Option("--duties", help="Print who carries which duty, with evidence.")
]
_Paths = Annotated[
    bool, typer.Option("--paths", help="Print possible ways of an attacker, the worst first.")
]
_Privileges = Annotated[
    bool,
    typer.Option(
        "--privileges",
        help="Print what each function is granted, what it needs, and what is enough.",
    ),
]
_History = Annotated[
    bool, typer.Option("--history", help="For a node: print how its score changed.")
]
_Project = Annotated[
    str | None,
    typer.Option(
        "--project", metavar="PROJECT", help="For a node: only what concerns this project."
    ),
]
_Notes = Annotated[
    bool, typer.Option("--notes", help="Print everything that could not be resolved.")
]


@command(
    app,
    examples="""\
$ casemate audit .
$ casemate audit template.yaml --fail-on medium
$ casemate audit . --format sarif --out audit.sarif
$ casemate audit . --since origin/main
$ casemate audit . --privileges
$ casemate audit . --duties
The running node itself
$ casemate audit node
$ casemate audit node --format html --out node.html
$ casemate audit node --history
""",
)
def audit(
    path: _Path = ".",
    format: _Format = Format.TERMINAL,
    json: JsonOption = False,
    out: _Out = None,
    fail_on: _FailOn = Grave.HIGH,
    least: _Least = Grave.LOW,
    rule: _Rule = None,
    without: _Without = None,
    baseline: _Baseline = None,
    write_baseline: _WriteBaseline = None,
    since: _Since = None,
    commits: _Commits = COMMITS,
    fix: _Fix = False,
    dry_run: _DryRun = False,
    duties: _Duties = False,
    paths: _Paths = False,
    privileges: _Privileges = False,
    notes: _Notes = False,
    history: _History = False,
    project: _Project = None,
) -> None:
    """Find weaknesses of an application, or of a running node.

    It reads projects of Casemate, AWS SAM and CloudFormation templates (CDK's too), serverless.yml,
    Terraform plans in JSON, OpenFaaS stacks, Knative services, Kubernetes manifests and Google
    Cloud functions, with the code beside them. It runs none of it and asks no server.

    The exit code is 1 for findings as severe as --fail-on, and 2 if nothing could be audited. A
    comment at a finding's line, or the line above, accepts it until a day: `# casemate: allow
    API-001 until=2027-01-01 reason=the public catalogue`

    `casemate audit node` asks the running node for its own weaknesses: settings, tokens, roles,
    grants, exceptions, versions, backups, and what is sent elsewhere. For a folder of that name
    write `./node`.
    """
    if dry_run and not fix:
        raise UsageError("--dry-run is for --fix.")
    for_files = {
        "--baseline": baseline, "--write-baseline": write_baseline, "--since": since,
        "--fix": fix, "--duties": duties, "--paths": paths, "--notes": notes,
        "--privileges": privileges,
    }  # fmt: skip
    if path == NODE:
        # Not above: it has the client, which takes longer to load than all else.
        from casemate.cli.node_audit import node_report, print_history

        _require_none(for_files, "is for files; a folder called node is ./node")
        if history:
            print_history(json=json)
            return
        report = node_report(project, rule or (), without or ())
        _print(report, Format.JSON if json else format, out, fail_on, least)
        return
    _require_none({"--history": history, "--project": project}, "is for `audit node`")
    place = Path(path)
    report = _audited(place, _options(place, rule, without, baseline, since, commits))
    if write_baseline is not None:
        _write_baseline(write_baseline, report)
    elif fix:
        _fix(place, report, dry_run=dry_run)
    elif duties:
        _print_duties(place, report, json=json)
        _end(report, fail_on)
    else:
        how = Format.JSON if json else format
        shown = {"notes": notes, "paths": paths, "privileges": privileges}
        _print(report, how, out, fail_on, least, shown)


def _require_none(options: Mapping[str, object], why: str) -> None:
    """Raise UsageError if an option was given that is for something else."""
    for name, given in options.items():
        if given:
            raise UsageError(f"{name} {why}.")


def _print(
    report: Report,
    format: Format,
    out: Path | None,
    fail_on: Grave,
    least: Grave,
    shown: Mapping[str, bool] | None = None,
) -> None:
    """Print a report, with what is `shown` beside findings, and end the command by them."""
    from casemate.audit import Severity

    if format is not Format.TERMINAL or out is not None:
        _print_document(report, format, out, Severity(fail_on.value))
    else:
        _print_lines(report, Severity(least.value), shown or {})
    _end(report, fail_on)


def _end(report: Report, fail_on: Grave) -> None:
    from casemate.audit import Severity

    if report.at_least(Severity(fail_on.value)):
        raise typer.Exit(ExitCode.FAILURE)


def _options(
    path: Path,
    rule: list[str] | None,
    without: list[str] | None,
    baseline: Path | None,
    since: str | None,
    commits: int,
) -> Options:
    from casemate.audit import Options, read_baseline

    return Options(
        only=tuple(rule or ()),
        without=tuple(without or ()),
        baseline=read_baseline(baseline) if baseline is not None else None,
        files=_changed_since(path, since) if since is not None else None,
        commits=commits,
        since=since,
    )


def _changed_since(path: Path, since: str) -> frozenset[str]:
    from casemate.audit import changed_since

    try:
        return changed_since(path, since)
    except CasemateError as error:  # not 1, which says that something was found
        raise UsageError(error.message, next_step=error.next_step) from error


def _audited(path: Path, options: Options) -> Report:
    from casemate.audit import DataMissingError, NothingToAuditError, audit

    try:
        return audit(path, options)
    except (NothingToAuditError, DataMissingError) as error:
        raise UsageError(error.message, next_step=error.next_step) from error
    except CasemateError as error:
        raise CommandError(error.message, next_step=error.next_step) from error


def _write_baseline(path: Path, report: Report) -> None:
    from casemate.audit import baseline_text, write_beside

    accepted = [each.finding for each in report.accepted if each.by == "baseline"]
    write_beside(_root(report), path, baseline_text((*report.findings, *accepted)))
    note(f"Wrote {path}: {len(report.findings) + len(accepted)} finding(s) are accepted.")


def _root(report: Report) -> Path:
    """Return the folder that was audited."""
    path = Path(report.root)
    return path if path.is_dir() else path.parent


def _print_document(report: Report, format: Format, out: Path | None, fail_on: object) -> None:
    from casemate.audit import Severity, outputs, write_beside

    made = {
        Format.JSON: outputs.json_of,
        Format.SARIF: outputs.sarif_of,
        Format.HTML: outputs.html_of,
    }
    if format is Format.JUNIT:
        text = outputs.junit_of(report, Severity(str(fail_on)))
    elif format is Format.TERMINAL:
        lines = outputs.lines_of(report, all_notes=True)
        text = "\n".join(one_line(line.text) for line in lines) + "\n"
    else:
        text = made[format](report)
    if out is not None:
        # Half a surrogate is in texts of a template, and no byte of a file of JSON.
        written = json_text(text) if format in (Format.JSON, Format.SARIF) else text
        write_beside(_root(report), out, written)
        note(f"Wrote {out}: {len(report.findings)} finding(s).")
    elif format in (Format.JSON, Format.SARIF):
        print_json_text(text)
    else:
        print_text(text.removesuffix("\n"))


def _print_lines(report: Report, least: object, shown: Mapping[str, bool]) -> None:
    from casemate.audit import Severity
    from casemate.audit.outputs import CHANGE, LOOK, lines_of

    styles = {
        Severity.CRITICAL: RED,
        Severity.HIGH: RED,
        Severity.MEDIUM: YELLOW,
        Severity.LOW: CYAN,
        Severity.INFO: BOLD,
    }
    for line in lines_of(
        report,
        all_notes=shown.get("notes", False),
        least=Severity(str(least)),
        paths=shown.get("paths", False),
        privileges=shown.get("privileges", False),
    ):
        style = styles[line.severity] if line.severity is not None else None
        # Policies and commands are there to be copied.
        if line.text.startswith("    "):
            print_line(line.text, style)
        elif line.text.startswith((f"{CHANGE}casemate ", f"{LOOK}casemate ")):
            print_command(line.text, style)
        else:
            print_prose(line.text, style)


def _print_duties(path: Path, report: Report, *, json: bool) -> None:
    from casemate.audit import duties_at

    rows = duties_at(path, report)
    if json:
        print_json(rows)
        return
    for platform, carried in rows.items():
        print_line(f"On {platform}:", BOLD)
        print_table(
            ("duty", "carried by", "how", "evidence"),
            [(each.duty, each.who, each.how, each.evidence) for each in carried],
            empty="There are no duties.",
            below=("how", "evidence"),
        )
        print_line()


def _fix(path: Path, report: Report, *, dry_run: bool) -> None:
    from casemate.audit import Workspace, changes_for, left_alone, write_inside

    workspace = Workspace(path)
    changes = changes_for(report.findings, workspace)
    for each in changes:
        print_text(each.diff.removesuffix("\n"))
        if not dry_run:
            write_inside(workspace.root, each.file, each.after)
    for file in left_alone(report.findings, workspace):
        note(f"{file} is left alone: it is not UTF-8 with Unix line ends.")
    count = sum(len(each.findings) for each in changes)
    if not changes:
        note("None of the findings is safe to fix without you.")
    elif dry_run:
        note(f"{count} finding(s) would be fixed in {len(changes)} file(s).")
    else:
        note(f"Fixed {count} finding(s) in {len(changes)} file(s). Undo it with git.")

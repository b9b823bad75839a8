"""`casemate doctor`: what holds on this host."""

from __future__ import annotations

import typer

from casemate.cli.errors import ExitCode
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_line, print_table, progress

app = new_app()


@command(app, examples="$ casemate doctor\n$ casemate doctor --json")
def doctor(json: JsonOption = False) -> None:
    """Probe every protection on this host and say what holds.

    Each protection is tried, not looked up; at the end a function tries, in a sandbox as in
    production, what it must not be able to do. The exit code is 1 if one does not hold; what to
    do about it is said below. Then come the versions of the C libraries that this installation
    brings, to be compared with what their projects say of vulnerabilities.
    """
    from casemate.maintenance.doctor import examine
    from casemate.maintenance.libraries import libraries

    with progress("Trying every protection"):
        findings = examine()
    found = libraries()
    missing = [finding for finding in findings if not finding.holds]
    failed = [finding for finding in missing if finding.required]
    if json:
        print_json({"ok": not failed, "findings": findings, "libraries": found})
    else:
        states = {True: "MISSING", False: "not here"}
        rows = [(f.name, "holds" if f.holds else states[f.required], f.detail) for f in findings]
        print_table(("protection", "state", "detail"), rows, empty="")
        for finding in missing:
            print_line()
            print_line(f"{finding.name}: {finding.detail}", "red" if finding.required else "yellow")
            if finding.next_step:
                print_line(f"Next: {finding.next_step}")
        print_line()
        print_table(
            ("library", "version", "brought by", "used for"),
            [(one.name, one.version or "does not say", one.bundled_in, one.use) for one in found],
            empty="",
        )
    if failed:
        raise typer.Exit(ExitCode.FAILURE)

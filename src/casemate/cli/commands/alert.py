"""`casemate alert`: the channels by which people are told of findings."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import CommandError
from casemate.cli.operation_command import Call, answered, asked
from casemate.cli.options import ForOption, JsonOption, ReasonOption, command, new_app
from casemate.cli.terminal import GREEN, note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.cli.times import lasting
from casemate.operations.findings import (
    AlertChannels,
    AlertSilences,
    ListAlertChannels,
    ListAlertSilences,
    ListOnCall,
    OnCallShifts,
    PagePeople,
    SilenceAlerts,
    TestAlertChannel,
)

app = new_app("See and test how people are notified of findings, and silence rules.")


@answered(app, ListAlertChannels, examples="$ casemate alert ls\n$ casemate alert ls --json")
def ls(found: AlertChannels) -> None:
    """List the channels of the node's settings, and their state.

    Folded are events that were only counted, because their rule had just been told of the same
    sender, function or other subject, or is silenced. The next alert brings their number.
    """
    print_table(
        (
            *("channel", "kind", "server", "from level", "sent", "waiting", "failed", "folded"),
            *("last folded", "why"),
        ),
        [
            (
                each.name,
                each.kind,
                each.server,
                each.level,
                str(each.sent),
                str(each.waiting),
                str(each.failed),
                str(each.folded + each.silenced + each.again),
                moment(each.folded_at) if each.folded_at else "",
                each.problem,
            )
            for each in found.channels
        ],
        empty="There are no channels; name some in the file that casemate serve --config reads.",
        below=("last folded", "why"),
    )
    if any(each.again for each in found.channels):
        note("Folded is what came within an hour of an alert alike: casemate findings ls")


@answered(
    app,
    ListOnCall,
    name="on-call",
    examples="$ casemate alert on-call\n$ casemate alert on-call --days 28",
)
def on_call(found: OnCallShifts) -> None:
    """Show who is on call now, and whose turns come next."""
    print_table(
        ("rotation", "who", "since", "until"),
        [(one.rotation, one.person, moment(one.since), moment(one.until)) for one in found.shifts],
        empty="There are no rotations; the file that casemate serve --config reads has them.",
    )


@answered(
    app,
    PagePeople,
    examples="""\
$ casemate alert page 'The shop does not answer' --to primary
$ casemate alert page 'It answers again'
""",
)
def page(found: None, call: Call) -> None:
    """Tell people at once, whatever the hour: everybody whose turn it is, or those named."""
    to = call.operation.to
    who = "who is on call, and channels of no rotation" if to == "*" else to
    print_line(f"{who}: told as soon as the monitor has read it.")
    note("Whether it arrives: casemate alert ls")


@asked(app, TestAlertChannel, examples="$ casemate alert test pager")
def test(wanted: TestAlertChannel, *, json: JsonOption = False) -> None:
    """Send a test through a channel now. The exit code is 1 if it was not accepted."""
    with connect() as client:
        done = client.call(wanted)
    if json:
        print_json(done)
    elif not done.problem:
        print_line(f"{done.channel} took it.", GREEN)
    if done.problem:
        problem, _, step = done.problem.partition(" Next: ")
        if not step.startswith("Set it: "):  # a secret is read each time
            step = f"{step.removesuffix('.')}; the settings are read when the node starts."
        raise CommandError(
            f"{done.channel} did not take it: {problem}",
            next_step=step if step else "Fix the node's settings file, or the server.",
        )


@command(
    app,
    examples="""\
$ casemate alert silence tokens-tried --for 2h --reason 'a planned test of ours'
$ casemate alert silence tokens-tried --for 0s --reason 'the test is over'
""",
)
def silence(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its name.")],
    for_: ForOption,
    reason: ReasonOption,
    json: JsonOption = False,
) -> None:
    """Send no alerts of a rule for a time. `--for 0s` ends that.

    What the rule finds is still stored and listed. The silence, with who and why, stands in the
    journal and is reported as a finding.
    """
    seconds = lasting(for_)
    with connect() as client:
        client.call(SilenceAlerts(rule=rule, seconds=seconds, reason=reason))
    if json:
        print_json({"rule": rule, "seconds": seconds})
    elif seconds:
        print_line(f"No alerts of {rule} are sent for {for_}.")
        note("It finds what it finds: casemate findings ls")
    else:
        print_line(f"Alerts of {rule} are sent.")


@answered(
    app, ListAlertSilences, examples="$ casemate alert silences\n$ casemate alert silences --json"
)
def silences(found: AlertSilences) -> None:
    """List the rules that are silenced now."""
    print_table(
        ("rule", "until", "by", "why"),
        [(each.rule, moment(each.until), each.by, each.reason) for each in found.silences],
        empty="Nothing is silenced.",
        below=("why",),
    )

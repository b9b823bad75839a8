"""`casemate show`: one function in full."""

from __future__ import annotations

from itertools import groupby

import msgspec

from casemate.admission.grants import describe
from casemate.cli.changes import denied_of, public_shown, routes_of, shown_limits
from casemate.cli.commands.budget import allowed_by, used_of
from casemate.cli.commands.ls import shares
from casemate.cli.deployed import live_version
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import (
    BOLD,
    DIM,
    YELLOW,
    Style,
    note,
    print_labelled,
    print_line,
    print_table,
    wrapped,
)
from casemate.cli.text import moment
from casemate.cli.triggers_shown import listens_to, schedule_shown
from casemate.contracts import uncovered
from casemate.model.deployment import DeployedFunction, Version
from casemate.model.function import Fresh, Layout
from casemate.model.grant import Grant
from casemate.model.invocation import Outcome
from casemate.model.restoring import Restoring
from casemate.model.trigger import ScheduleTrigger
from casemate.operations.functions import (
    ListSchedules,
    Schedules,
    ShowFunction,
    ShowRestoring,
)

app = new_app()
_LABEL = 13
"""Characters before what a line tells."""
_MOST_REASONS = 5
_MOST_GRANTS = 8


@answered(app, ShowFunction, examples="$ casemate show hello\n$ casemate show shop/cart --json")
def show(found: DeployedFunction, call: Call) -> None:
    """Show a function: versions, aliases, grants, limits, budgets.

    *isolation*: `request` gives each call a pristine process, `instance` one that other calls have
    used. *trust* `low`: nothing of its import is kept for later calls. *contract* `none`: events
    are only held to default limits, by no schema of your own. *processes*: after a call its process
    is restored and used again, or replaced if anything differs. *ready*: instances that wait for
    calls. An *alias* leads callers to versions; `live` is what they get who name none.
    """
    live = live_version(found)
    schedules = _schedules(call, live)
    shown = call.operation
    asked = ShowRestoring(project=shown.project, function=shown.function)
    restoring = call.client.call(asked)
    print_line(call.name, BOLD)
    if live is None or not live.spec.internal:
        _labelled("address", f"{call.url}/invoke/{call.name}")
    if found.quarantine is not None:
        held = found.quarantine
        print_line(f"  QUARANTINE since {moment(held.since)}, by {held.by}", YELLOW)
        _labelled("reason", held.reason)
    for trial in (alias.trial for alias in found.aliases if alias.trial is not None):
        print_line(f"  TRIAL of version {trial.version} until {moment(trial.until)}", YELLOW)
        _labelled("then", f"version {trial.back} gets all calls, unless it is promoted")
    if live is not None:
        _print_spec(live, schedules)
        _print_grants(call.name, live)
        if live.spec.limits.warm or found.ready:
            instances = "1 instance" if found.ready == 1 else f"{found.ready} instances"
            _labelled("ready", f"{instances}; limits.warm keeps {live.spec.limits.warm}")
    _print_bounds(found)
    _print_restoring(restoring)
    _print_late(restoring)
    _print_schedules(schedules)
    print_line()
    print_table(
        ("alias", "versions", "changed"),
        [(alias.name, shares(alias), moment(alias.changed_at)) for alias in found.aliases],
        empty="It has no alias, so callers must name a version.",
    )
    print_line()
    print_table(
        ("version", "deployed", "by", "digest"),
        [
            (str(v.number), moment(v.created_at), v.created_by, v.digest)
            for v in reversed(found.versions)
        ],
        below=("digest",),
        empty="It has no versions.",
    )
    note("What the words mean: casemate show --help")


def _print_grants(name: str, live: Version) -> None:
    """Tell what it is granted, without what it made of that."""
    grants = live.spec.grants
    told = list(map(_described, grants[:_MOST_GRANTS]))
    for kind, of in groupby(grants[_MOST_GRANTS:], key=lambda grant: grant.kind):
        first, *more = of
        told.append(f"{len(more) + 1} more of kind {kind.value}" if more else _described(first))
    excepted = any(grant.exception for grant in live.spec.grants)
    _labelled("grants", "; ".join(told) or "none", YELLOW if excepted else None)
    if told:
        _labelled("", f"casemate grants show {name}", DIM)


def _described(grant: Grant) -> str:
    return describe(msgspec.structs.replace(grant, exception=""))


def _print_bounds(found: DeployedFunction) -> None:
    """Tell which budgets and quotas bound it, be it with all of its project."""
    for state in found.budgets:
        budget = state.budget
        whole = "" if budget.function else f" of all of {budget.project}"
        by = "".join(f" by {who}" for who in (budget.caller, budget.account) if who)
        style = YELLOW if budget.hard and state.percent >= 100 else None
        _labelled("budget", f"{budget.name}{whole}{by}: {used_of(state)}", style)
    for rate in found.quotas:
        of_all = "" if rate.quota.function else f" of all of {rate.quota.project}"
        refused = f", {rate.refused} refused" if rate.refused else ""
        _labelled("quota", f"{rate.quota.name}{of_all}: {allowed_by(rate)}{refused}")


def _schedules(call: Call, live: Version | None) -> Schedules:
    if live is None or not any(isinstance(t, ScheduleTrigger) for t in live.spec.triggers):
        return Schedules()
    shown = call.operation
    return call.client.call(ListSchedules(project=shown.project, function=shown.function))


def _print_schedules(found: Schedules) -> None:
    for schedule in found.schedules:
        told = f"{schedule.name}: {schedule_shown(schedule)}"
        if schedule.failing:
            _labelled("schedule", f"{told}; its event cannot be kept at present", YELLOW)
        else:
            _labelled("schedule", told)
    if found.last is not None:
        last = found.last
        told = f"; casemate errors show {last.error_id}" if last.error_id else ""
        style = None if last.outcome is Outcome.OK else YELLOW
        _labelled("last run", f"{moment(last.started_at)}: {last.outcome.value}{told}", style)


def _print_restoring(found: Restoring) -> None:
    """Tell how often a call's process was used again, and what would have it used more often."""
    if not found.restored and not found.discarded:
        return
    own = "1 call had one of its own" if found.forks == 1 else f"{found.forks} calls had their own"
    forks = f", {own}" if found.forks else ""
    again = f"{found.restored} restored after a call, {found.discarded} not used again"
    _labelled("processes", f"{again}{forks}")
    for one in found.reasons[:_MOST_REASONS]:
        change = f"; {one.change}" if one.change else ""
        lines = wrapped(f"{one.count}: {one.reason}{change}", _LABEL + 2)
        for number, line in enumerate(lines):
            print_line(f"{'':{_LABEL + 2 * bool(number)}}{line}", DIM)


def _print_late(found: Restoring) -> None:
    """Tell what each call imports that could be imported once."""
    if found.late_modules:
        some = "1 module" if found.late_modules == 1 else f"{found.late_modules} modules"
        of = f" of {', '.join(found.late_packages)}" if found.late_packages else ""
        mend = (
            "import them with the handler, or make a first request there, to pay for it only once"
        )
        _labelled("imports", f"{some}{of} in each call: {mend}", YELLOW)


def _print_spec(version: Version, schedules: Schedules) -> None:
    """Tell what the manifest says, but for what `_print_schedules` tells with its next time."""
    spec = version.spec
    due = {schedule.name for schedule in schedules.schedules}
    if spec.description:
        _labelled("about", spec.description)
    _labelled("handler", f"{spec.handler} on Python {spec.python or '?'}")
    more = ", layout own" if spec.layout is Layout.OWN else ""
    more += ", fresh process for each call" if spec.fresh is Fresh.PROCESS else ""
    _labelled("isolation", f"{spec.isolation.value}, trust {spec.trust.value}{more}")
    if spec.public:
        _labelled("PUBLIC", public_shown(routed=bool(spec.http), direct=spec.direct), YELLOW)
    if spec.internal:
        _labelled("internal", "called only by its triggers, and by functions of its project")
    for route in routes_of(spec):
        _labelled("route", route)
    for trigger in spec.triggers:
        if not (isinstance(trigger, ScheduleTrigger) and trigger.name in due):
            _labelled("trigger", f"{trigger.name}: {listens_to(trigger)}")
    for denied in denied_of(spec):
        _labelled("denied", denied)
    for one in spec.logs.unmasked:
        _labelled("IN CLEAR", f"{one.kind} in its logs: {one.reason}", YELLOW)
    without = ", ".join(uncovered(spec))
    if without:
        _labelled("contract", f"none for {without}: default limits apply", DIM)
    limits = ", ".join(f"{name} {value}" for name, value in shown_limits(spec.limits).items())
    _labelled("limits", limits)


def _labelled(label: str, text: str, style: Style | None = None) -> None:
    """Print a text behind its label."""
    print_labelled(f"  {label}", text, _LABEL, style)

"""`casemate usage`: what functions have used."""

from __future__ import annotations

from casemate.cli.behind import note_behind
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line, print_table
from casemate.cli.text import moment, size
from casemate.model.estimate import Estimate
from casemate.model.usage import Usage
from casemate.operations.usage import ShowUsage, UsageFound

_MANY = 1000.0
_LITTLE = 1e-6
app = new_app()


@answered(
    app,
    ShowUsage,
    examples="""\
$ casemate usage
$ casemate usage shop/checkout --each day --since 7d
$ casemate usage --by caller --json
""",
)
def usage(found: UsageFound, call: Call) -> None:
    """Show what functions have used: requests, times, CPU, memory, bytes.

    The CPU is what control groups counted, with everything that ran for a call, even after its
    answer. `hosts in` and `hosts out` are bytes through the egress proxy; `stored` is what projects
    keep, as a size over time. `peak` is the most memory that a process held; of one that is
    restored for the next call it is that of its first call alone. Sums go by UTC hours. Calls that
    were refused before a version was chosen are not included; `casemate denials` has them.
    `casemate bill` says what it costs.

    `guard us` is what the sink guard's hooks took of a call inside the function's process, and
    `journal us` what storing its record cost the node. Both are microseconds of processor time,
    such as `41 ± 6 of 312`, estimated from 312 sampled calls; with a confidence of 95 % the true
    mean is within the error. `run s` and `cpu s` are seconds.
    """
    print_table(
        (
            *("what", "requests", "run s", "cpu s", "gb-s", "in", "out", "errors", "refused"),
            *("peak", "hosts in", "hosts out", "stored gb-h", "guard us", "journal us"),
        ),
        [_columns(row) for row in found.rows],
        below=(
            *("in", "out", "errors", "refused", "peak", "hosts in", "hosts out", "stored gb-h"),
            *("guard us", "journal us"),
        ),
        empty="Nothing was used in that time.",
    )
    if found.more:
        note("There is more than is shown: ask for a project, or for a shorter time.")
    note_behind(found.behind)
    print_line(f"From {moment(found.since)} to {moment(found.until)}.")


def name_of(row: Usage, *, of_when: bool = True) -> str:
    """Return what a sum is of, in words; `of_when`: also when that time began, if it is told."""
    function = f"{row.project}/{row.function}" if row.function else row.project
    parts = [function, row.trigger, row.caller or row.account, row.route]
    if of_when and row.start:
        parts.append(moment(row.start))
    return " ".join(filter(None, parts)) or ("(not known)" if row.requests else "(no calls)")


def _gigabyte_hours(byte_hours: float) -> str:
    """Return them as a plain number, whose unit is that of the column; nothing for none."""
    if not byte_hours:
        return ""
    found = byte_hours / 1e9
    if found >= _MANY:
        return f"{found:.0f}"
    return f"{found:.6f}".rstrip("0").rstrip(".") if found >= _LITTLE else f"<{_LITTLE:.6f}"


def _columns(row: Usage) -> tuple[str, ...]:
    return (
        name_of(row),
        str(row.requests),
        f"{row.run_us / 1e6:.3f}",
        f"{row.cpu_us / 1e6:.3f}",
        f"{row.memory_mb_ms / 1024 / 1000:.3f}",
        size(row.request_bytes),
        size(row.response_bytes),
        str(row.errors),
        str(row.refused),
        size(row.peak) if row.peak else "",
        size(row.egress_in) if row.egress_in else "",
        size(row.egress_out) if row.egress_out else "",
        _gigabyte_hours(row.byte_hours),
        _estimated(row.guard),
        _estimated(row.journal),
    )


def _estimated(found: Estimate | None) -> str:
    """Return a mean, its error and of how many calls: the unit is that of the column."""
    if found is None:
        return ""
    error = "" if found.error_us is None else f" ± {_digits(found.error_us)}"
    return f"{_digits(found.us_per_request)}{error} of {found.sampled}"


def _digits(us: float) -> str:
    return f"{us:.3g}" if us < 100 else f"{us:.0f}"

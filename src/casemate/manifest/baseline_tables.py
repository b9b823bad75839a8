"""What is usual of a function, the keys under `[function.NAME.baseline]`."""

from __future__ import annotations

from casemate.manifest.kinds import Choice, Flag
from casemate.manifest.numeric_kinds import Duration, Whole
from casemate.manifest.structure import Table, model_field
from casemate.model.baseline import OnDeviation
from casemate.model.function import BaselineSettings

BASELINE = Table(
    "Baseline",
    "How long it is learned what is usual of the function (callers, triggers, grants, hosts, "
    "shapes of statements, durations, sizes, system calls), and what is done about the rest. What "
    "comes first ends the learning.",
    (
        model_field(
            BaselineSettings,
            "on_deviation",
            Choice(tuple(each.value for each in OnDeviation)),
            '"report" tells of what is not usual. "refuse": callers, grants, hosts, shapes of '
            "statements and system calls that are not usual are refused as well, before anything "
            "is done.",
        ),
        model_field(
            BaselineSettings,
            "learn",
            Duration(60.0, 90 * 86_400.0, 7 * 86_400.0),
            "Time after which nothing more is learned, if there was any call.",
        ),
        model_field(
            BaselineSettings,
            "calls",
            Whole(1, 1_000_000),
            "Calls after which nothing more is learned.",
        ),
        model_field(
            BaselineSettings,
            "system_calls",
            Flag(),
            "Learn as well which notable system calls it makes: those that change files, connect, "
            "signal, and others that plain code does not make. While they are learned, or told of "
            'with "report", each call has a process of its own that is forked for it.',
        ),
    ),
)

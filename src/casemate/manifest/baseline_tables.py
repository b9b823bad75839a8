"""What is usual of a function, the keys under `[function.NAME.baseline]`."""

from __future__ import annotations

from casemate.manifest.kinds import Choice, Flag
from casemate.manifest.numeric_kinds import Duration, Whole
from casemate.manifest.structure import Table, model_field
from casemate.model.baseline import OnDeviation
from casemate.model.function import BaselineSettings

BASELINE = Table(
    "Baseline",
    "How long the node learns what is usual for the function (callers, triggers, grants, hosts, "
    "shapes of statements, durations, sizes, system calls), and what it does about deviations. "
    "Learning ends at whichever of the two limits comes first.",
    (
        model_field(
            BaselineSettings,
            "on_deviation",
            Choice(tuple(each.value for each in OnDeviation)),
            '"report" reports deviations. "refuse" also refuses unusual callers, grants, hosts, '
            "shapes of statements and system calls, before anything is done.",
        ),
        model_field(
            BaselineSettings,
            "learn",
            Duration(60.0, 90 * 86_400.0, 7 * 86_400.0),
            "Time after which learning ends, if there was any call.",
        ),
        model_field(
            BaselineSettings,
            "calls",
            Whole(1, 1_000_000),
            "Calls after which learning ends.",
        ),
        model_field(
            BaselineSettings,
            "system_calls",
            Flag(),
            "Also learn which notable system calls it makes: those that change files, connect, "
            "signal, and others that plain code does not make. While they are learned, or reported "
            'with "report", each call has a process of its own that is forked for it.',
        ),
    ),
)

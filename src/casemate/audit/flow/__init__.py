"""Data flow: where data from outside comes to, in Python code that is read and never run.

    results.py         what is asked and answered: entries, sources, steps, flows
    analysis.py        `analyse` and `discover`
    weaknesses.py      what can go wrong at a sink, with its CWE
    limits.py          bounds on files, steps, objects, time
    parsing.py         texts into syntax; fstrings.py for those that an older Python cannot read
    values.py          what a name may stand for; state.py all names and objects at one point
    characters.py      which signs cannot be in a text
    reading.py         reads code, its parts being
      statements.py, expressions.py, comprehensions.py, conditions.py, matching.py
      names.py, containers.py, calls.py, definitions.py, texts.py
      outside.py       calls of libraries
    frameworks.py      which functions are called from outside, and with what
    library/           what libraries do with data: sources, sinks, what makes it safe
    reporting.py       gathers flows, each once
    ports.py           what these parts ask of one another

It decides nothing about severity, prints nothing and reads no files. The names of the sinks are
those of the sink guard. Imports the guard's names, the walk over syntax, and nothing else of ours.
"""

from casemate.audit.flow.analysis import analyse, discover
from casemate.audit.flow.limits import Limits
from casemate.audit.flow.parsing import parse_all
from casemate.audit.flow.results import Analysis, Entry, Flow, Place
from casemate.audit.flow.weaknesses import STATIC_SINKS, WEAKNESSES

__all__ = [
    "STATIC_SINKS",
    "WEAKNESSES",
    "Analysis",
    "Entry",
    "Flow",
    "Limits",
    "Place",
    "analyse",
    "discover",
    "parse_all",
]

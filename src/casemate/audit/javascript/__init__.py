"""Data flow in JavaScript and TypeScript: code that is parsed by tree-sitter, and never run.

    syntax.py       texts into syntax, within bounds
    values.py       what is particular to the language among the values of `flow`
    files.py        which file a module's name means
    analysis.py     `analyse` and `discover`
    reader.py       what is known while code is read, and what its parts ask of one another
    reading.py      the reader with all of its parts:
      scopes.py, members.py, patterns.py, definitions.py, calls.py, conditions.py, arrays.py,
      methods.py, expressions.py, statements.py, modules.py
      library.py, known.py, sinks.py, answers.py   calls of libraries
    sources.py, routes.py   where outside data enters

States, objects, texts with holes, what conditions tell, how a sink looks at a text and the names
of the weaknesses are those of `flow`, which reads Python. It decides nothing about severity.
"""

from casemate.audit.javascript.analysis import analyse, discover
from casemate.audit.javascript.reader import Reader, Watcher
from casemate.audit.javascript.syntax import SUFFIXES, Node, Parsed, SyntaxProblemError, parse

__all__ = [
    "SUFFIXES",
    "Node",
    "Parsed",
    "Reader",
    "SyntaxProblemError",
    "Watcher",
    "analyse",
    "discover",
    "parse",
]

"""What the code of functions needs beside what they are granted.

    needs.py        what is answered: actions with their resources, and what is open
    details.py      what is answered to an import: calls, variables, addresses, with their places
    functions.py    reads the code of one function
    reading.py      reads a program until nothing new is found; its parts being
      program.py, state.py, values.py, statements.py, expressions.py, imports.py,
      attributes.py, calls.py
      cloud.py, things.py, operations.py   the SDK for AWS
      own.py   this platform's context; web.py   HTTP
    services.py     the SDK's operations; special.py and libraries.py what needs other rights
    platform.py     rights that the platform uses itself
    resources.py    whether two texts of a template name one resource
    comparing.py, minimal.py, results.py   needed beside granted

What is not known is never guessed: where a client comes to code that is not read, nothing is said
of its service, and why is told. Nothing that is read is run. Imports `code`, the data of the
importers and the model of the audit, and `model` of ours.
"""

from casemate.audit.privileges.details import Call, Details
from casemate.audit.privileges.finding_out import privileges_of
from casemate.audit.privileges.functions import details_of, environment, handler_name
from casemate.audit.privileges.needs import EVERY, Open
from casemate.audit.privileges.program import Files
from casemate.audit.privileges.results import Privileges, Surplus
from casemate.audit.privileges.services import plain
from casemate.audit.privileges.values import HOLE

__all__ = [
    "EVERY",
    "HOLE",
    "Call",
    "Details",
    "Files",
    "Open",
    "Privileges",
    "Surplus",
    "details_of",
    "environment",
    "handler_name",
    "plain",
    "privileges_of",
]

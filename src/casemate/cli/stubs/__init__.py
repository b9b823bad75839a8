"""The types that editors and type checkers get of what a handler gets.

`handler.pyi` describes the names that the runner offers to a handler as `casemate`. It is not the
platform's own types, and nothing imports it: it is copied into projects, for people who have not
installed the platform. May import nothing of ours but the command line's errors.
"""

from casemate.cli.stubs.writing import STUB_PATH, stub_text, write_ours, write_stub

__all__ = ["STUB_PATH", "stub_text", "write_ours", "write_stub"]

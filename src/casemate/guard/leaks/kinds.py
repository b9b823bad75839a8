"""Names of what an answer is looked through for, in the manifest and in records."""

from __future__ import annotations

TRACE, PAGE, PATH = "trace", "page", "path"
SOURCE, DATABASE, EXCEPTION = "source", "database", "exception"
KINDS = (TRACE, PAGE, PATH, SOURCE, DATABASE, EXCEPTION)
EVERY = "*"
TOLD = {
    TRACE: "a trace of Python",
    PAGE: "a framework's debug page",
    PATH: "a path of the sandbox",
    SOURCE: "a line of the function's source",
    DATABASE: "a database driver's error",
    EXCEPTION: "an exception as Python shows it",
}

"""Records of logs that a function keeps itself. By wrappers; files are watched in `file`."""

from __future__ import annotations

from ..names import READS_ANSWER, READS_LINES
from ..sink import Sink
from ..written import loggers

SINK = Sink(
    name=loggers.NAME,
    summary="Records of logs in files and streams of the function's own: data begins none.",
    calls={
        "print": loggers.watch_print,
        "write": loggers.watch_write,
        READS_ANSWER: loggers.read_records,
        READS_LINES: loggers.read_lines,
    },
    patches={
        "click.utils": loggers.patch_click,
        "logging": loggers.patch_logging,
        "rich.console": loggers.patch_rich,
        "traceback": loggers.patch_traceback,
        "warnings": loggers.patch_warnings,
        "loguru._logger": loggers.patch_loguru,
        "loguru._simple_sinks": loggers.patch_stream,
        "loguru._file_sink": loggers.patch_file,
        "structlog._output": loggers.patch_structlog,
    },
)

"""The `context` argument of a handler."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


class Log:
    """Writes lines with a level and fields; they reach `casemate logs` with the invocation's id."""

    __slots__ = ("_emit",)

    def __init__(self, emit: Callable[[str, str], None]) -> None:
        """Send lines through `emit(level, text)`."""
        self._emit = emit

    def _write(self, level: str, message: object, fields: dict[str, object]) -> None:
        text = str(message)
        if fields:
            text += " " + json.dumps(fields, default=str, ensure_ascii=False)
        self._emit(level, text)

    def debug(self, message: object, **fields: object) -> None:
        """Log at level debug."""
        self._write("debug", message, fields)

    def info(self, message: object, **fields: object) -> None:
        """Log at level info."""
        self._write("info", message, fields)

    def warning(self, message: object, **fields: object) -> None:
        """Log at level warning."""
        self._write("warning", message, fields)

    def error(self, message: object, **fields: object) -> None:
        """Log at level error."""
        self._write("error", message, fields)


class Context:
    """What a handler may know of its invocation. Times are seconds, sizes bytes.

    `aws_request_id`, `memory_limit_in_mb` and `get_remaining_time_in_millis()` are there so that
    handlers written for AWS Lambda find them.
    """

    __slots__ = (
        "deadline",
        "function_name",
        "function_version",
        "log",
        "memory_limit",
        "project",
        "request_id",
    )

    def __init__(
        self,
        *,
        request_id: str,
        deadline: float,
        project: str,
        function_name: str,
        function_version: str,
        memory_limit: int,
        log: Log,
    ) -> None:
        """Keep the given values."""
        self.request_id = request_id
        self.deadline = deadline
        self.project = project
        self.function_name = function_name
        self.function_version = function_version
        self.memory_limit = memory_limit
        self.log = log

    def remaining(self) -> float:
        """Return the seconds left until the invocation is ended."""
        return max(0.0, self.deadline - time.time())

    @property
    def aws_request_id(self) -> str:
        """The invocation's id."""
        return self.request_id

    @property
    def memory_limit_in_mb(self) -> int:
        """The memory limit in MiB."""
        return self.memory_limit // (1024 * 1024)

    def get_remaining_time_in_millis(self) -> int:
        """Return `remaining()` in milliseconds."""
        return int(self.remaining() * 1000)

"""Why an instance is not used again: numbers in messages, sentences for the owner."""

from __future__ import annotations

import enum


class Reason(enum.IntEnum):
    """One for each check. Whatever has no other is KERNEL."""

    CALL = 1
    SIGNAL = 2
    NOT_WAITING = 3
    NOT_STOPPING = 4
    MEMORY_LAYOUT = 5
    SHARED_MEMORY = 6
    UNWATCHED = 7
    TOO_MANY_PAGES = 8
    STATUS = 9
    DESCRIPTORS = 10
    FILES = 11
    PROCESSES = 12
    TMP = 13
    REGISTERS = 14
    GONE = 15
    KERNEL = 16
    FILTERS = 17
    FOLDER = 18


TEXTS = {
    Reason.CALL: "it made a system call that leaves something behind",
    Reason.SIGNAL: "it was sent a signal",
    Reason.NOT_WAITING: "it did not wait for its next call",
    Reason.NOT_STOPPING: "it could not be stopped in time",
    Reason.MEMORY_LAYOUT: "its memory was mapped again",
    Reason.SHARED_MEMORY: "it has shared memory",
    Reason.UNWATCHED: "some of its memory cannot be watched",
    Reason.TOO_MANY_PAGES: "it wrote to more memory than is restored",
    Reason.STATUS: "what the kernel says of it has changed",
    Reason.DESCRIPTORS: "it has files open that cannot be reopened, or closed its own",
    Reason.FILES: "one of its own descriptors leads elsewhere or has other flags",
    Reason.PROCESSES: "it has left a process, or a thread that cannot be ended",
    Reason.TMP: "it has left something in /tmp",
    Reason.REGISTERS: "its registers could not be set back",
    Reason.GONE: "it has ended",
    Reason.KERNEL: "the kernel did not tell what was asked",
    Reason.FILTERS: "its filters of system calls are not those that it should have",
    Reason.FOLDER: "its working directory is another one",
}
"""For the owner of the function."""
_OF_MEMORY = frozenset(("brk", "madvise", "mmap", "mprotect", "mremap", "munmap"))
_MEMORY = "it gave back, or had changed, memory that it had before the call"
"""What a flagged call about memory comes to: allocators of libraries make it."""
_NOTHING = "nothing is wrong with it, and nothing to mend: the next call has a new process"
_CHANGES = {
    Reason.CALL: "do without programs, signals and timers in the handler",
    Reason.SIGNAL: "do not send signals to it",
    Reason.NOT_WAITING: "end threads that are at work when the handler returns",
    Reason.MEMORY_LAYOUT: "close memory maps before the handler returns",
    Reason.SHARED_MEMORY: "map no shared memory at import",
    # 3.11 counts references to None, True, small numbers and the like, wherever they are: a `def`
    # view of FastAPI was not restored in 13 of 40 calls, and in each with 3.12 and 3.13.
    Reason.TOO_MANY_PAGES: "hold less in memory at a time, or hold it in arrays of a megabyte and "
    "more, which are taken away whole; with Python 3.11, choose a newer one, which writes to less",
    Reason.DESCRIPTORS: "open files in /tmp, and copies of the output, in the handler and not at "
    "import; leave its own descriptors as they are",
    Reason.FILES: "leave standard input and output as they are",
    Reason.PROCESSES: "start no process in the handler, and neither one nor a thread at import",
    Reason.TMP: "remove what was written to /tmp, or do it in memory",
    Reason.FOLDER: "use absolute paths instead of os.chdir",
}
"""What the owner can do about it, where there is something."""


def text_of(reason: Reason, detail: str) -> str:
    """Return a reason as the owner reads it."""
    text = _MEMORY if reason is Reason.CALL and detail in _OF_MEMORY else TEXTS[reason]
    return f"{text} ({detail})" if detail else text


def change_for(text: str) -> str:
    """Return what changes a reason, as `text_of` has it; empty if nothing is known to."""
    if text.startswith(_MEMORY):
        return _NOTHING
    for reason, change in _CHANGES.items():
        if text.startswith(TEXTS[reason]):
            return change
    return ""


class DiscardError(Exception):
    """An instance is not to be used again."""

    def __init__(self, reason: Reason, detail: int = 0) -> None:
        """Keep why; `detail` is the number of the system call or an errno."""
        super().__init__(f"{TEXTS[reason]} ({detail})" if detail else TEXTS[reason])
        self.reason = reason
        self.detail = detail

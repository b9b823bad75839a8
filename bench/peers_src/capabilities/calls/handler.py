"""Times capability calls where they are made: inside the handler."""

import time

CONTENT = b"x" * 1024


def prepare(context):
    """Write what is read afterwards."""
    context.bucket("files").put("small", CONTENT)
    context.table("people").put({"id": "ada", "text": "x" * 900})


def calls(context):
    """Return each call by name."""
    files, people, jobs = context.bucket("files"), context.table("people"), context.queue("jobs")
    return {
        "bucket get, 1 KB": lambda: files.get("small"),
        "bucket head": lambda: files.head("small"),
        "bucket put, 1 KB": lambda: files.put("small", CONTENT),
        "table get, 1 KB": lambda: people.get("ada"),
        "queue send": lambda: jobs.send({"n": 1}),
        "secret": lambda: context.secret("key"),
        "invoke": lambda: context.invoke("callee", {"n": 1}),
    }


def handle(event, context):
    """Return the microseconds of `count` calls of one kind, after a tenth as many to warm up."""
    if event["call"] == "prepare":
        return prepare(context)
    call, count, clock = calls(context)[event["call"]], event["count"], time.perf_counter
    for _ in range(max(10, count // 10)):
        call()
    times = []
    for _ in range(count):
        started = clock()
        call()
        times.append((clock() - started) * 1e6)
    return times

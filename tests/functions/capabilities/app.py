"""A function that uses each of its handles: `{"do": name, ...}`."""

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import casemate

MIB = 1 << 20
LEFT = []
"""What an earlier invocation left in this process."""
LATE = []
"""What a thread found after its invocation."""


def pattern(size):
    """Yield `size` bytes in pieces of an uneven length, no two of them alike."""
    made, number = 0, 0
    while made < size:
        piece = hashlib.sha256(b"%d" % number).digest() * 3125 + b"x"
        yield piece[: size - made]
        made += len(piece)
        number += 1


def objects(context):
    files = context.bucket("files")
    put = files.put(
        "a/one", b"first", content_type="text/plain", metadata={"by": "hand", "naïve": "ü"}
    )
    head = files.head("a/one")
    again = files.put("a/one", "zweiter, ü")
    found = {
        "same": put == head,
        "head": head._asdict(),
        "revisions": [put.revision, again.revision],
        "old": files.get("a/one", revision=put.revision).decode(),
        "new": files.get("a/one").decode(),
        "exists": [files.exists("a/one"), files.exists("a/none")],
    }
    files.delete("a/one")
    files.delete("a/one")
    try:
        files.get("a/one")
    except casemate.NotFoundError as error:
        found["gone"] = str(error)
    return found


def conditions(context):
    files, outcomes = context.bucket("files"), []

    def attempt(act):
        try:
            outcomes.append(act().revision)
        except casemate.ConflictError:
            outcomes.append("conflict")

    files.delete("a/c")
    attempt(lambda: files.put("a/c", b"1", if_revision=0))
    attempt(lambda: files.put("a/c", b"2", if_revision=0))
    present = files.head("a/c").revision
    attempt(lambda: files.put("a/c", b"3", if_revision=present))
    attempt(lambda: files.put("a/c", b"4", if_revision=present))
    try:
        with files.create("a/c", if_revision=present) as writer:
            writer.write(b"5" * (5 * MIB))
    except casemate.ConflictError:
        outcomes.append("conflict")
    try:
        files.delete("a/c", if_revision=present)
    except casemate.ConflictError:
        outcomes.append("conflict")
    return {"outcomes": outcomes, "first": present, "content": files.get("a/c").decode()}


def pages(context, count):
    files = context.bucket("files")
    for number in range(count):
        files.put(f"list/{number:04}", b"")
    files.put("list/ä", b"")
    files.put("lisu", b"")
    return {"keys": [info.key for info in files.list("list/")]}


def stream(context, size, key="a/large"):
    files, digest = context.bucket("files"), hashlib.sha256()
    with files.create(key, content_type="application/x-test", metadata={"k": "v"}) as writer:
        for piece in pattern(size):
            digest.update(piece)
            writer.write(piece)
    info, read, total, pieces = writer.info, hashlib.sha256(), 0, 0
    with files.open(key) as reader:
        while piece := reader.read(3 * MIB + 1):
            read.update(piece)
            total += len(piece)
            pieces += 1
        reader.seek(-5, os.SEEK_END)
        tail = reader.read()
        reader.seek(4 * MIB - 2)
        middle = reader.read(4)
    whole = files.get(key)
    return {
        "info": info._asdict(),
        "total": total,
        "pieces": pieces,
        "alike": digest.hexdigest() == read.hexdigest() == hashlib.sha256(whole).hexdigest(),
        "sha256": digest.hexdigest(),
        "cuts": tail == whole[-5:] and middle == whole[4 * MIB - 2 : 4 * MIB + 2],
        "iterated": [len(piece) for piece in files.open(key)],
    }


def whole(context, size):
    """Put and get in one call each, what is larger than one request carries."""
    content = b"".join(pattern(size))
    info = context.bucket("files").put("a/whole", content)
    return {"size": info.size, "alike": context.bucket("files").get("a/whole") == content}


def changed_while_read(context):
    """A reader stays with the revision it began with."""
    files = context.bucket("files")
    files.put("a/moving", b"a" * (6 * MIB))
    with files.open("a/moving") as reader:
        first = reader.read(MIB)
        files.put("a/moving", b"b" * (6 * MIB))
        rest = reader.read()
    return {"one": set(first + rest) == {ord("a")}, "size": len(first + rest)}


def give_up(context, how):
    """End in the middle of an upload, in one of several ways."""
    files = context.bucket("files")
    print("began", flush=True)
    with files.create("a/unfinished") as writer:
        writer.write(b"x" * (9 * MIB))
        if how == "raise":
            raise RuntimeError("in the middle")
        if how == "exit":
            os._exit(3)
        if how == "sleep":
            time.sleep(30)
        if how == "memory":
            hold = []
            while True:
                hold.append(bytearray(16 * MIB))
    return {}


def items(context):
    people = context.table("people")
    first = people.put({"team": "a", "name": "ann", "age": 30, "mail": "ann@x", "ü": ["ß", None]})
    people.put({"team": "a", "name": "bob", "age": 25, "mail": "b@x"})
    people.put({"team": "a", "name": "cid", "age": 41, "mail": "c@x"})
    people.put({"team": "b", "name": "dan", "age": 41, "mail": "d@x"})

    def names(*args, **kwargs):
        return [item.value["name"] for item in people.query(*args, **kwargs)]

    found = {
        "item": people.get("a", "ann").value,
        "revision": first.revision,
        "key": names("a"),
        "descending": names("a", descending=True),
        "limit": names("a", limit=2),
        "from": names("a", at_least="b"),
        "below": names("a", at_least="b", less_than="c"),
        "prefix": names("a", begins_with="c"),
        "equal": names("a", equals="bob"),
        "index": names("d@x", index="by-mail"),
        "sorted-index": names("a", index="by-age"),
        "index-range": names("a", index="by-age", at_least=26, less_than=41),
        "all": sorted(names()),
    }
    people.delete("b", "dan")
    try:
        people.get("b", "dan")
    except casemate.NotFoundError:
        found["gone"] = True
    return found


def item_conditions(context):
    people, outcomes = context.table("people"), []
    key = {"team": "c", "name": "eve"}
    people.delete("c", "eve")
    made = people.put(key | {"n": 1}, if_revision=0)
    for condition in (0, made.revision, made.revision):
        try:
            people.put(key | {"n": 2}, if_revision=condition)
            outcomes.append("put")
        except casemate.ConflictError:
            outcomes.append("conflict")
    try:
        people.delete("c", "eve", if_revision=made.revision)
    except casemate.ConflictError:
        outcomes.append("conflict")
    return {"outcomes": outcomes, "n": people.get("c", "eve").value["n"]}


def many_items(context, count):
    people = context.table("people")
    for number in range(count):
        people.put({"team": "many", "name": f"{number:04}", "age": number})
    return {"names": [item.value["name"] for item in people.query("many")]}


def expiring(context, seconds):
    sessions = context.table("sessions")
    sessions.put({"id": "kept", "until": time.time() + 3600})
    sessions.put({"id": "short", "until": time.time() + seconds})
    before = sorted(item.value["id"] for item in sessions.query())
    time.sleep(seconds + 0.2)
    found = {"before": before, "after": sorted(item.value["id"] for item in sessions.query())}
    try:
        sessions.get("short")
    except casemate.NotFoundError:
        found["gone"] = True
    return found


def messages(context):
    jobs, news = context.queue("jobs"), context.topic("news")
    first = jobs.send({"n": 1}, deduplication="same")
    return {
        "ids": [first, jobs.send({"n": 2}, deduplication="same"), jobs.send(["x"], delay=60.0)],
        "topic": news.publish({"t": 1}),
    }


def secrets(context):
    binary = context.secret_bytes("binary")
    found = {
        "length": len(context.secret("api-key")),
        "old-length": len(context.secret("api-key", version=1)),
        "sum": sum(binary),
        "bytes": len(binary),
    }
    for name, act in {
        "not-text": lambda: context.secret("binary"),
        "no-version": lambda: context.secret("api-key", version=99),
        "not-granted": lambda: context.secret("other"),
        "not-set": lambda: context.secret("unset"),
    }.items():
        try:
            act()
        except casemate.CapabilityError as error:
            found[name] = [type(error).__name__, str(error)]
    return found


def token(context, audience):
    return {"token": context.identity_token(audience)}


def errors(context):
    """Return what each wrong use raises."""
    files, people = context.bucket("files"), context.table("people")
    wrong = {
        "bucket": lambda: context.bucket("none").get("x"),
        "prefix": lambda: files.get("elsewhere/x"),
        "list": lambda: list(files.list()),
        "missing": lambda: files.get("a/none"),
        "empty-key": lambda: files.get(""),
        "long-key": lambda: files.get("a/" + "x" * 2000),
        "surrogate": lambda: files.put("a/\ud800", b""),
        "name": lambda: context.bucket("Not A Name").get("x"),
        "type": lambda: files.get("a/x", revision="one"),
        "nan": lambda: people.put({"team": "a", "name": "x", "n": float("nan")}),
        "no-key": lambda: people.put({"name": "x"}),
        "not-json": lambda: people.put({"team": "a", "name": "x", "n": {1, 2}}),
        "large-item": lambda: people.put({"team": "a", "name": "x", "n": "x" * 500_000}),
        "large-object": lambda: context.bucket("small").put("x", b"x" * 2048),
        "large-stream": lambda: context.bucket("small").put("x", b"x" * (5 * MIB)),
        "full-bucket": lambda: [context.bucket("small").put(f"{n}", b"x" * 1000) for n in range(5)],
        "large-message": lambda: context.queue("jobs").send("x" * 300_000),
        "function": lambda: context.invoke("none", {}),
    }
    found = {}
    for name, act in wrong.items():
        try:
            act()
            found[name] = ["none", ""]
        except Exception as error:
            kind = type(error)
            public = getattr(casemate, kind.__name__, None) is kind
            found[name] = [kind.__name__ if public else repr(kind), str(error)]
    return found


def threads(context, count):
    """Use handles from many threads at once; each must get its own answers."""
    files, people = context.bucket("files"), context.table("people")

    def work(number):
        text = f"{number} " * 5000
        files.put(f"a/thread-{number}", text)
        people.put({"team": "t", "name": str(number), "age": number})
        context.log.info(f"thread {number}")
        return (
            files.get(f"a/thread-{number}").decode() == text
            and people.get("t", str(number)).value["age"] == number
        )

    with ThreadPoolExecutor(8) as pool:
        return {"right": sum(pool.map(work, range(count)))}


def late_thread(context):
    """Leave a thread behind that uses a handle once the answer is given."""

    def work():
        time.sleep(0.3)
        try:
            context.bucket("files").put("a/late", b"x")
            LATE.append("put")
        except casemate.CapabilityError as error:
            LATE.append(str(error))

    threading.Thread(target=work, daemon=True).start()
    return {}


def left(context):
    return {"left": LEFT}


def late(context):
    return {"late": LATE}


def keep_secret(context):
    LEFT.append(context.secret("api-key"))
    return {"length": len(LEFT[0])}


def keep_context(context):
    """Use the handle of an invocation that is over, in a process that goes on."""
    LEFT.append(context)
    return {"count": len(LEFT), "used": LEFT[0].bucket("files").exists("a/none")}


def child(context):
    """Use a handle in a forked child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            context.bucket("files").put("a/child", b"x")
            text = "put"
        except casemate.CapabilityError as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    said = os.read(reading, 1000).decode()
    return {"child": said, "parent": context.bucket("files").exists("a/child")}


def tell(context, how):
    """Let a secret out in every way there is."""
    value = context.secret("api-key")
    if how == "print":
        print("the key is", value)
        print("twice", value, value, flush=True)
        os.write(2, f"stderr {value}\n".encode())
        context.log.warning(f"log {value}", field=value)
        # In two pieces, as a buffer may cut it.
        os.write(1, value[:9].encode())
        time.sleep(0.05)
        os.write(1, value[9:].encode() + b"\n")
    if how == "raise":
        raise ValueError(f"the key is {value}")
    if how == "cause":
        try:
            raise KeyError(value)
        except KeyError as error:
            raise RuntimeError("outer") from error
    return {"key": value} if how == "return" else {}


def environment(context):
    return {
        "LEVEL": os.environ.get("LEVEL"),
        "names": sorted(os.environ),
        "values": sorted(os.environ.values()),
    }


DO = {
    function.__name__: function
    for function in (
        objects, conditions, pages, stream, whole, changed_while_read, give_up, items,
        item_conditions, many_items, expiring, messages, secrets, token, errors, threads,
        late_thread, late, left, keep_secret, keep_context, child, tell, environment,
    )
}  # fmt: skip


def handler(event, context):
    return DO[event.pop("do")](context, **event)


async def async_handler(event, context):
    import asyncio

    files = context.bucket("files")
    await asyncio.gather(
        *(asyncio.to_thread(files.put, f"a/async-{n}", str(n)) for n in range(event["count"]))
    )
    return {"keys": [info.key for info in files.list("a/async-")]}

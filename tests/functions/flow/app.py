"""A function that calls others, or is called: `{"do": name, ...}`."""

import time

import casemate


def call(context, function, event, allow=None):
    """Invoke another function; return its result, or all that is told of its end."""
    try:
        return {"result": context.invoke(function, event, allow=allow)}
    except casemate.InvocationError as error:
        return {"status": error.status, "error_id": error.error_id, "text": str(error)}
    except casemate.CapabilityError as error:
        return {"error": type(error).__name__, "text": str(error)}


def read(context, key):
    return use(lambda: context.bucket("files").get(key).decode())


def write(context, key):
    return use(lambda: context.bucket("files").put(key, "written").size)


def use(act):
    try:
        return {"result": act()}
    except casemate.CapabilityError as error:
        return {"error": type(error).__name__, "text": str(error)}


def remaining(context):
    return {"remaining": context.remaining()}


def sleep(context, seconds):
    time.sleep(seconds)
    return {"slept": seconds}


def fail(context):
    print("private words, printed")
    raise ValueError("private words")


def bad(context):
    return {1, 2}


def around(context, depth=0):
    """Call oneself until that is denied; return how deep that was, and why it ended."""
    try:
        found = context.invoke("around", {"do": "around", "depth": depth + 1})
    except casemate.CapabilityError as error:
        return {"depth": depth, "error": type(error).__name__, "text": str(error)}
    return found


def token(context):
    return {"token": context.identity_token("anyone")}


def raw(context):
    return b"\x00\xff" * 1000


def big(context, size):
    return call(context, "middle", {"do": "size", "text": "x" * size})


def size(context, text):
    return {"size": len(text)}


DO = {
    f.__name__: f
    for f in (call, read, write, remaining, sleep, fail, bad, around, token, raw, big, size)
}


def handler(event, context):
    return DO[event.pop("do")](context, **event)

"""A function that misuses what it is granted: `{"attack": name, ...}`.

Frames are written here by hand, as code would that does not keep to the runner's own handles.
"""

import array
import contextlib
import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import struct
import time

HEADER = struct.Struct("!cII")
GATEWAY = 3
"""The instance's socket to the gateway has this number."""
LIBC = ctypes.CDLL(None, use_errno=True)


def frame(kind, head, body=b""):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return HEADER.pack(kind, len(text), len(body)) + text + body


def receive(sock, count):
    """Return the heads of `count` replies."""
    data, heads = b"", []
    while len(heads) < count:
        more = sock.recv(65536)
        if not more:
            return [*heads, {"error": "closed"}]
        data += more
        while len(data) >= HEADER.size:
            _kind, head, body = HEADER.unpack_from(data)
            end = HEADER.size + head + body
            if len(data) < end:
                break
            heads.append(json.loads(data[HEADER.size : HEADER.size + head]))
            data = data[end:]
    return heads


def gateway():
    return socket.socket(fileno=os.dup(GATEWAY))


def raw(context, frames):
    """Send frames (hexadecimal) one after the other, each when the one before is answered."""
    replies = []
    with gateway() as sock:
        for each in frames:
            sock.sendall(bytes.fromhex(each))
            replies += receive(sock, 1)
    return {"replies": replies}


def request(context, head, body=""):
    """Make one request of any form."""
    return raw(context, [frame(b"C", head, body.encode()).hex()])


def flood(context, count):
    """Make so many requests at once."""
    with gateway() as sock:
        one = frame(b"C", {"n": 1, "op": "bucket.head", "bucket": "files", "key": "a/x"})
        sock.sendall(one * count)
        return {"replies": receive(sock, count)}


def unfinished(context, seconds):
    """Begin an upload, tell its id to an accomplice by the name of an object, and wait."""
    begin = {"n": 1, "op": "bucket.begin", "bucket": "files", "key": "a/upload"}
    begun = request(context, begin)
    upload = begun["replies"][0]["ok"]["upload"]
    context.bucket("files").put(f"a/told/{upload}", b"")
    time.sleep(seconds)
    return begun


def speak(context, kind, head):
    """Send a frame of a kind that is not an instance's to send, or not due."""
    with gateway() as sock:
        sock.sendall(frame(kind.encode(), head))
        time.sleep(0.5)
    return {"result": "went on"}


def give_descriptors(context, count):
    """Attach descriptors to a valid request: the gateway must not come to hold them."""
    files = [os.memfd_create(f"gift-{number}") for number in range(count)]
    one = frame(b"C", {"n": 1, "op": "bucket.head", "bucket": "files", "key": "a/x"})
    with gateway() as sock:
        rights = array.array("i", files)
        try:
            sock.sendmsg([one], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except PermissionError:  # from Linux 6.16 on the gateway says that it takes none
            return {"refused": True}
        return {"replies": receive(sock, 1)}


def sockets(context):
    """Name every socket that is open here."""
    numbers = []
    for number in range(64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                numbers.append(number)
    found = [socket.socket(fileno=os.dup(number)) for number in numbers]
    return {
        "names": [sock.getsockname() for sock in found],
        "peers": [sock.getpeername() for sock in found],
        "count": len(found),
    }


def leave_child(context):
    """Leave a process behind that goes on after the answer."""
    late = frame(b"C", {"n": 1, "op": "bucket.put", "bucket": "files", "key": "a/late"}, b"x")
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        with gateway() as sock:
            sock.sendall(late)
        time.sleep(60)
        os._exit(0)
    return {"result": "left"}


def read_secret(context, name="api-key"):
    return {"length": len(context.secret(name))}


def raise_secret(context, words=True):
    if words:
        print("about to fail")
    raise ValueError("the key is " + context.secret("api-key"))


def token(context, audience):
    return {"token": context.identity_token(audience)}


# -- reading all of one's own memory, without /proc ---------------------------------------------

PAGE = 4096
CHUNK = 1 << 20


def ranges():
    """Yield where memory is mapped around all that this process can name (access(2))."""
    sbrk = ctypes.CDLL(None).sbrk
    sbrk.restype = ctypes.c_void_p
    buffer = mmap.mmap(-1, PAGE)
    stack = ctypes.c_int()
    seeds = [sbrk(0) - PAGE, ctypes.addressof(ctypes.c_char.from_buffer(buffer))]
    seeds += [ctypes.addressof(stack), id(object()), id(json), id(json.dumps), id("x" * 2000)]
    seeds += [ctypes.cast(LIBC.malloc, ctypes.c_void_p).value, id(os.environ), id(type)]
    seeds += [ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value]
    seen = set()
    for seed in seeds:
        for direction in (1, -1):
            place, misses = seed // CHUNK * CHUNK, 0
            while misses < 64:
                if place in seen:
                    misses += 1
                elif found := mapped(place):
                    seen.add(place)
                    yield from found
                    misses = 0
                else:
                    seen.add(place)
                    misses += 1
                place += direction * CHUNK


def mapped(start):
    """Return the parts of a chunk that can be read: what cannot is no name of a file either."""
    found = []
    for page in range(start, start + CHUNK, PAGE):
        if LIBC.access(ctypes.c_void_p(page), 0) < 0 and ctypes.get_errno() == errno.EFAULT:
            continue
        if found and sum(found[-1]) == page:
            found[-1] = found[-1][0], found[-1][1] + PAGE
        else:
            found.append((page, PAGE))
    return found


def search(mask, other):
    """Return how often a text is in this process, given as two numbers whose xor it is.

    So the text itself is not brought along. What is not readable is left out: the kernel copies.
    """
    first, second = bytes.fromhex(mask), bytes.fromhex(other)
    length = len(first)
    # Found by its first six bytes and compared one by one: the whole text is never made here.
    prefix = bytes(a ^ b for a, b in zip(first[:6], second[:6], strict=True))
    last = first[-1] ^ second[-1]
    sink = os.memfd_create("sink")
    hits = scanned = 0
    for start, size in ranges():
        written = LIBC.pwrite(sink, ctypes.c_void_p(start), ctypes.c_size_t(size), 0)
        if written <= 0:
            continue
        scanned += written
        with mmap.mmap(sink, written, prot=mmap.PROT_READ) as copy:
            at = copy.find(prefix)
            while at >= 0:
                if at + length <= written and copy[at + length - 1] == last:
                    hits += all(copy[at + i] == first[i] ^ second[i] for i in range(6, length))
                at = copy.find(prefix, at + 1)
    os.close(sink)
    return {"hits": hits, "scanned": scanned}


def recall(context, mask, other):
    return search(mask, other)


def keep_and_recall(context, mask, other):
    value = context.secret("api-key")
    found = search(mask, other)
    return {**found, "length": len(value)}


def abort(context):
    """Die so that a core would be written, after asking to be dumpable again."""
    context.secret("api-key")
    print("about to die", flush=True)
    LIBC.prctl(4, 1, 0, 0, 0)
    os.chdir("/tmp")
    os.abort()


ATTACKS = {
    function.__name__: function
    for function in (
        raw, request, flood, unfinished, speak, give_descriptors, sockets, leave_child,
        read_secret, raise_secret, token, recall, keep_and_recall, abort,
    )
}  # fmt: skip


def handler(event, context):
    return ATTACKS[event.pop("attack")](context, **event)

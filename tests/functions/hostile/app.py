"""A function that misbehaves as its event asks: `{"do": name}`. Each way is one function here.

`MARKER` is in every message, class name and output, so that a test can tell whether any of it
reached a caller.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import stat
import struct
import sys
import threading
import time

MARKER = "zebra7marker"
PAGE = 4096
FRAME = struct.Struct("!cII")
HOUR = 3600


class Zebra7markerError(Exception):
    """An error whose name must not reach a caller."""


def frame(kind, head=b"", body=b""):
    return FRAME.pack(kind, len(head), len(body)) + head + body


def find_socket():
    """Return the descriptor of the one socket this process has."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return descriptor
    raise LookupError("no socket")


def name_process(name):
    """Set the name that the host sees in /proc/<pid>/comm (PR_SET_NAME)."""
    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)


def touch(size):
    memory = bytearray(size)
    for offset in range(0, size, PAGE):
        memory[offset] = 1
    return memory


# -- time and processes ------------------------------------------------------------------------


def loop_for_ever(event):
    while True:
        pass


def sleep_for_ever(event):
    time.sleep(HOUR)


def ignore_sigterm(event):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def ignore_all_signals(event):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(1)


def fork_bomb(event):
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def fork_bomb_then_die(event):
    """Every process of the bomb outlives the one that was asked."""
    name_process("left-bomb")
    for _ in range(4):
        try:
            os.fork()
        except OSError:
            break
    if os.getpid() == 1:
        os._exit(0)
    while True:
        time.sleep(1)


def thread_bomb(event):
    while True:
        try:
            threading.Thread(target=time.sleep, args=(HOUR,), daemon=True).start()
        except RuntimeError:
            time.sleep(0.01)


# -- memory ------------------------------------------------------------------------------------


def one_big_allocation(event):
    return len(touch(1 << 30))


def many_small_allocations(event):
    held = []
    while True:
        held.append(b"%d" % len(held) * 500)


def allocate_in_child(event):
    child = os.fork()
    if child == 0:
        touch(1 << 30)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def allocate_in_many_children(event):
    """None of them is too large by itself; together they are."""
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            touch(24 << 20)
            time.sleep(0.2)
            os._exit(0)
        children.append(child)
    return sum(os.WIFSIGNALED(os.waitpid(child, 0)[1]) for child in children)


# -- ways to die -------------------------------------------------------------------------------


def exit_0(event):
    print(MARKER)
    os._exit(0)


def exit_3(event):
    print(MARKER, flush=True)
    os._exit(3)


def raise_system_exit(event):
    sys.exit(MARKER)


def raise_keyboard_interrupt(event):
    raise KeyboardInterrupt(MARKER)


def abort(event):
    os.abort()


def segfault(event):
    ctypes.string_at(0)


def kill_itself(event):
    """The first process of a pid namespace is spared its own signals, its children are not."""
    child = os.fork()
    if child == 0:
        time.sleep(HOUR)
    os.kill(os.getpid(), signal.SIGKILL)
    os.kill(-1, signal.SIGKILL)
    os.waitpid(child, 0)
    os._exit(9)


def recurse_for_ever(event):
    return recurse_for_ever(event)


def recurse_beyond_the_stack(event):
    sys.setrecursionlimit(1 << 30)

    class Deep:
        def __repr__(self):
            return repr(self)

    return repr(Deep())


def raise_marked(event):
    local = {"secret": MARKER}
    raise Zebra7markerError(f"{MARKER} at /function/code/app.py {local}")


def raise_chained(event):
    try:
        raise_marked(event)
    except Zebra7markerError as error:
        raise ValueError(MARKER) from error


class _Mute(Exception):
    def __str__(self):
        raise Zebra7markerError(MARKER)


def raise_mute(event):
    raise _Mute


class _Deadly(Exception):
    def __str__(self):  # noqa: PLE0307
        sys.exit(MARKER)


def raise_deadly(event):
    raise _Deadly


class _Endless(Exception):
    def __str__(self):  # noqa: PLE0307
        while True:
            pass


def raise_endless(event):
    raise _Endless


def raise_huge(event):
    raise ValueError(MARKER * (1 << 20))


def raise_surrogate(event):
    raise ValueError(f"{MARKER} \udcff")


def raise_group(event):
    raise BaseExceptionGroup(MARKER, [ValueError(MARKER), KeyboardInterrupt(MARKER)])


# -- its socket --------------------------------------------------------------------------------


def close_socket(event):
    os.close(find_socket())
    return MARKER


def close_socket_and_stay(event):
    os.close(find_socket())
    time.sleep(HOUR)


def write_garbage(event):
    os.write(find_socket(), MARKER.encode() * 10)
    time.sleep(HOUR)


def write_random(event):
    descriptor = find_socket()
    while True:
        os.write(descriptor, os.urandom(65536))


def forge_answer(event):
    os.write(find_socket(), frame(b"A", b"{}", b'"forged"'))
    return "returned"


def forge_answer_and_stay(event):
    name_process("left-forger")
    os.write(find_socket(), frame(b"A", b"{}", b'"forged"'))
    while True:
        time.sleep(1)


def forge_huge_length(event):
    os.write(find_socket(), FRAME.pack(b"A", 2, 0xFFFFFFFF) + b"{}")
    time.sleep(HOUR)


def forge_huge_head(event):
    os.write(find_socket(), FRAME.pack(b"A", 0xFFFFFFFF, 0))
    time.sleep(HOUR)


def forge_half_frame(event):
    os.write(find_socket(), FRAME.pack(b"A", 2, 1000) + b"{}" + MARKER.encode())
    os._exit(0)


def forge_ready(event):
    os.write(find_socket(), frame(b"R"))
    time.sleep(HOUR)


def forge_invoke(event):
    os.write(find_socket(), frame(b"I", b"{}", b"{}"))
    time.sleep(HOUR)


def _error(kind):
    head = {"kind": kind, "type": MARKER, "message": MARKER, "trace": MARKER}
    os.write(find_socket(), frame(b"E", json.dumps(head).encode()))
    time.sleep(HOUR)


def forge_error_of_unknown_kind(event):
    _error(MARKER)


def forge_init_error(event):
    _error("init-error")


def forge_error(event):
    _error("handler-error")


def forge_malformed_error(event):
    os.write(find_socket(), frame(b"E", b'{"kind": ["' + MARKER.encode() + b'"]}'))
    time.sleep(HOUR)


def forge_malformed_log(event):
    os.write(find_socket(), frame(b"L", b"\xff\xfe", MARKER.encode()))
    time.sleep(HOUR)


def _answer_head(text):
    os.write(find_socket(), frame(b"A", text, b"{}"))
    time.sleep(HOUR)


def forge_head_not_json(event):
    _answer_head(MARKER.encode())


def forge_head_with_unknown_keys(event):
    _answer_head(b'{"status": 200, "zebra7marker": 1}')


def forge_status_of_101(event):
    _answer_head(b'{"status": 101}')


def forge_header_injection(event):
    _answer_head(b'{"status": 200, "headers": [["x-a", "1\\r\\nset-cookie: zebra7marker=1"]]}')


def forge_header_name(event):
    _answer_head(b'{"status": 200, "headers": [["zebra7marker: x\\r\\ny", "1"]]}')


def forge_content_type(event):
    _answer_head(b'{"type": "text/html\\r\\nx-zebra7marker: 1"}')


# -- output ------------------------------------------------------------------------------------


def flood_stdout(event):
    line = (MARKER * 90)[:1023] + "\n"
    for _ in range(100 * 1024):
        sys.stdout.write(line)


def flood_stderr(event):
    line = (MARKER * 90)[:1023].encode() + b"\n"
    while True:
        os.write(2, line)


def flood_log(event, context):
    while True:
        context.log.info(MARKER * 100)


def delete_streams(event):
    del sys.stdout, sys.stderr
    return "done"


def streams_of_none(event):
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
    return "done"


def close_streams(event):
    sys.stdout.close()
    sys.stderr.close()
    return "done"


def close_descriptors(event):
    os.close(1)
    os.close(2)
    return "done"


def close_standard_input(event):
    os.close(0)
    return "done"


# -- what stays behind -------------------------------------------------------------------------


def _linger():
    name_process("left-behind")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def leave_process(event):
    if os.fork() == 0:
        _linger()
    return "done"


def leave_daemon(event):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3, 64):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            _linger()
        os._exit(0)
    return "done"


def leave_thread(event):
    threading.Thread(target=_linger_in_thread, daemon=False).start()
    return "done"


def _linger_in_thread():
    name_process("left-behind")
    while True:
        time.sleep(1)


def leave_exit_handler(event):
    import atexit

    atexit.register(time.sleep, HOUR)
    return "done"


def leave_alarm(event):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    return "done"


def leave_destructor(event):
    class Slow:
        def __del__(self):
            time.sleep(HOUR)

    global kept
    kept = Slow()
    return "done"


# -- results -----------------------------------------------------------------------------------


def return_object(event):
    return Zebra7markerError(MARKER)


def return_nan(event):
    return {MARKER: float("nan")}


def return_infinity(event):
    return [float("inf")]


def return_surrogate(event):
    return f"{MARKER} \ud800"


def return_circle(event):
    circle = [MARKER]
    circle.append(circle)
    return circle


def return_deep(event):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def return_huge(event):
    return "x" * (1 << 20)


def return_huge_bytes(event):
    return b"x" * (1 << 20)


def return_set(event):
    return {MARKER}


def return_generator(event):
    return (n for n in [MARKER])


def return_coroutine(event):
    return asyncio.sleep(0, MARKER)


class _Sly(dict):
    def items(self):
        raise Zebra7markerError(MARKER)


def return_sly_dict(event):
    return _Sly(a=1)


def nothing(event):
    return "done"


def handler(event, context):
    do = globals()[event["do"]]
    return do(event, context) if do is flood_log else do(event)

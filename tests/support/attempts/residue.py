"""What one call could leave for the next one, beside the rows of `support/residue.py`."""

from __future__ import annotations

from functools import partial

from support.node import TestNode

from . import Attempts, BrokenAttemptError, tried
from .kernel import ask

LOOKS = 5
AT_IMPORT = """
import abc, codecs, collections.abc, copyreg, ctypes.util, decimal, linecache, locale, logging, mimetypes, numbers
import pickle, re, sqlite3, ssl, threading, time, tempfile, urllib.request, email.charset, http.client, json, asyncio
libm = ctypes.CDLL('libm.so.6')
libm.lgamma.restype = ctypes.c_double
shared = sqlite3.connect('file:x?mode=memory&cache=shared', uri=True)
libc.localtime.restype = ctypes.c_void_p
libc.strerror.restype = ctypes.c_char_p
libc.malloc.restype = libc.__res_state.restype = ctypes.c_void_p
KEPT, WIPED = (mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2))
KEPT[0] = WIPED[0] = 7
def child(ends):
    pid = os.fork()
    if pid == 0:
        ends()
    return os.waitpid(pid, 0)[1]
"""
PYTHON = {
    # name: (what one call does, what another finds)
    "a converter of sqlite3": (
        "sqlite3.register_converter('x', bytes)",
        "sorted(sqlite3.converters)",
    ),
    "an adapter of sqlite3": ("sqlite3.register_adapter(complex, str)", "len(sqlite3.adapters)"),
    "a shared database in memory": (
        "shared.execute('create table x(a)')",
        "shared.execute('select count(*) from sqlite_master').fetchone()[0]",
    ),
    "a reducer of pickle": (
        "copyreg.pickle(complex, lambda c: (str, ('secret',)))",
        "str(copyreg.dispatch_table.get(complex))[:20]",
    ),
    "an error handler of codecs": (
        "codecs.register_error('x', lambda e: ('secret', e.end))",
        "codecs.lookup_error('x') and 1",
    ),
    "a type of files": ("mimetypes.add_type('a/secret', '.x')", "mimetypes.guess_type('a.x')"),
    "an opener of URLs": ("urllib.request.install_opener('secret')", "urllib.request._opener"),
    "a factory of log records": (
        "logging.setLogRecordFactory(lambda *a, **k: 'secret')",
        "logging.getLogRecordFactory().__name__",
    ),
    "a class of loggers": (
        "logging.setLoggerClass(type('S', (logging.Logger,), {}))",
        "logging.getLoggerClass().__name__",
    ),
    "a subclass that is registered": (
        "collections.abc.Sequence.register(complex)",
        "issubclass(complex, collections.abc.Sequence)",
    ),
    "a virtual number": ("numbers.Integral.register(str)", "isinstance('x', numbers.Integral)"),
    "lines of files": (
        "linecache.cache['x'] = (1, None, ['secret'], 'x')",
        "'x' in linecache.cache",
    ),
    "a cache of expressions": ("re._cache.clear()", "len(re._cache) > 0"),
    "a default of decimals": ("decimal.DefaultContext.prec = 77", "decimal.DefaultContext.prec"),
    "the stack of threads": ("threading.stack_size(1 << 20)", "threading.stack_size()"),
    "a hook at forks": (
        "os.register_at_fork(after_in_child=lambda: os._exit(7))",
        "os.waitpid(os.fork() or os._exit(0), 0)[1]",
    ),
    "a hook of breakpoints": ("sys.breakpointhook = len", "sys.breakpointhook.__name__"),
    "flags of dlopen": ("sys.setdlopenflags(0x101)", "sys.getdlopenflags()"),
    "the wake-up descriptor": (
        "signal.set_wakeup_fd(-1, warn_on_full_buffer=False)\nsignal.set_wakeup_fd((lambda s: (s.setblocking(False), s.detach())[1])(socket.socketpair()[0]))",
        "signal.set_wakeup_fd(-1)",
    ),
    "calls that signals interrupt": (
        "signal.siginterrupt(17, False); signal.signal(17, print)",
        "str(signal.getsignal(17))[:20]",
    ),
    "a small number": ("ctypes.c_long.from_address(id(7) + 24).value = 8", "str(int('7'))"),
    "a letter": ("ctypes.memset(id('q') + sys.getsizeof('q') - 2, 0x7A, 1)", "chr(113)"),
    "an empty tuple": (
        "ctypes.c_ssize_t.from_address(id(()) + 16).value = 0; globals()['T'] = ()",
        "'T' in globals()",
    ),
    "flags of a type": (
        "ctypes.c_ulong.from_address(id(object) + 168).value &= ~(1 << 8)",
        "ctypes.c_ulong.from_address(id(object) + 168).value",
    ),
    "a loop that is set": (
        "asyncio.set_event_loop(asyncio.new_event_loop())",
        "asyncio.get_event_loop_policy()._local._loop is None",
    ),
    "a character set of mails": (
        "email.charset.add_alias('x', 'secret')",
        "'x' in email.charset.ALIASES",
    ),
    "headers that are read": ("http.client._MAXHEADERS = 7", "http.client._MAXHEADERS"),
    "a default encoder": (
        "json._default_encoder.ensure_ascii = False",
        "json._default_encoder.ensure_ascii",
    ),
    "certificates that nobody looks at": (
        "ssl._create_default_https_context = ssl._create_unverified_context",
        "ssl._create_default_https_context.__name__",
    ),
    "a module that answers": (
        "sys.modules['re'].__getattr__ = lambda n: 'secret'",
        "getattr(re, 'nothing', None)",
    ),
    "a name in __main__": (
        "sys.modules['__main__'].secret = 7",
        "hasattr(sys.modules['__main__'], 'secret')",
    ),
    "a caller's errno": ("ctypes.set_errno(77)", "ctypes.get_errno()"),
    "the main thread's name": (
        "threading.main_thread().name = 'secret'",
        "threading.main_thread().name",
    ),
    "a process's name for children": (
        "__import__('multiprocessing').current_process().name = 'secret'",
        "__import__('multiprocessing').current_process().name",
    ),
}
C = {
    "the sign of lgamma": (
        "libm.lgamma(ctypes.c_double(-0.5))",
        "ctypes.c_int.in_dll(libm, 'signgam').value",
    ),
    "the seed of drand48": ("libc.srand48(7)", "libc.lrand48()"),
    "the time zone of C": ("os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()", "time.tzname[0]"),
    "options of the resolver": (
        "ctypes.c_ulong.from_address(libc.__res_state() + 8).value = 2",
        "ctypes.c_ulong.from_address(libc.__res_state() + 8).value",
    ),
    "the mask of the log": ("libc.setlogmask(1)", "libc.setlogmask(0)"),
    "a handler at C's exit": (
        "libc.__cxa_atexit(ctypes.cast(libc.abort, ctypes.c_void_p), None, None)",
        "child(lambda: libc.exit(0))",
    ),
    "a handler at C's forks": (
        "libc.__register_atfork(None, None, ctypes.cast(libc.abort, ctypes.c_void_p), None)",
        "os.waitpid(os.fork() or os._exit(0), 0)[1]",
    ),
    "a thread's locale": (
        "libc.uselocale.restype = ctypes.c_void_p; libc.newlocale.restype = ctypes.c_void_p; libc.uselocale(ctypes.c_void_p(libc.newlocale(1 << 1, b'C', None)))",
        "(setattr(libc.uselocale, 'restype', ctypes.c_void_p), libc.uselocale(None) == 2 ** 64 - 1)[1]",
    ),
    "options of malloc": (
        "libc.mallopt(-6, 0x55)",
        "ctypes.string_at(libc.malloc(5000), 5000).count(0xAA) > 4000",
    ),
    "the width of a stream": (
        "libc.fwide(ctypes.c_void_p.in_dll(libc, 'stdout'), 1)",
        "libc.fwide(ctypes.c_void_p.in_dll(libc, 'stdout'), 0)",
    ),
    "a hash table of C": ("libc.hcreate(100)", "libc.hcreate(100)"),
    "cancelling of threads": (
        "libc.pthread_setcancelstate(1, None)",
        "(lambda o: (libc.pthread_setcancelstate(0, ctypes.byref(o)), o.value)[1])(ctypes.c_int())",
    ),
    "a callback in C": (
        "global CB; CB = ctypes.CFUNCTYPE(None)(lambda: None)",
        "'CB' in globals()",
    ),
    "a callback of bsearch's": (
        "globals()['q'] = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)",
        "'q' in globals()",
    ),
}
KERNEL = {
    "flags of /tmp": (
        "fcntl.ioctl(os.open('/tmp', 0), 0x40086602, struct.pack('l', 0x80))",
        "fcntl.ioctl(os.open('/tmp', 0), 0x80086601, bytes(8)).hex()",
    ),
    "flags of /tmp, another call": (
        "fcntl.ioctl(os.open('/tmp', 0), 0x401C5820, struct.pack('IIIII', 0x80, 0, 0, 0, 0) + bytes(8))",
        "fcntl.ioctl(os.open('/tmp', 0), 0x801C581F, bytes(28)).hex()",
    ),
    "the mode of /tmp": ("os.chmod('/tmp', 0o711)", "oct(os.stat('/tmp').st_mode)"),
    "the owner of /tmp": ("os.chown('/tmp', -1, os.getgid())", "os.stat('/tmp').st_gid"),
    "a far time of /tmp": ("os.utime('/tmp', (1, 1))", "os.stat('/tmp').st_mtime > 10"),
    "links of /tmp": (
        "os.mkdir('/tmp/a'); os.mkdir('/tmp/a/b'); os.chdir('/tmp/a/b')",
        "(os.stat('/tmp').st_nlink, os.getcwd())",
    ),
    "a deleted file that is mapped": (
        "globals()['m'] = (lambda f: (os.write(f, b's' * 4096), mmap.mmap(f, 4096))[1])(os.open('/tmp/x', os.O_RDWR | os.O_CREAT)); os.unlink('/tmp/x')",
        "'m' in globals()",
    ),
    "a deleted file that is open": (
        "globals()['f'] = os.open('/tmp/x', os.O_RDWR | os.O_CREAT); os.unlink('/tmp/x')",
        "len([d for d in range(200) if not raw(72, d, 1, 0) < 0])",
    ),
    "all descriptors": (
        "[os.dup(0) for _ in range(40)]",
        "len([d for d in range(300) if not raw(72, d, 1, 0) < 0])",
    ),
    "a high descriptor": (
        "os.dup2(0, 250)",
        "len([d for d in range(300) if not raw(72, d, 1, 0) < 0])",
    ),
    "standard output that appends": (
        "fcntl.fcntl(1, 4, fcntl.fcntl(1, 3) | os.O_APPEND)",
        "fcntl.fcntl(1, 3)",
    ),
    "standard output that does not wait": ("os.set_blocking(1, False)", "os.get_blocking(1)"),
    "standard error that is inherited not": (
        "os.set_inheritable(2, False)",
        "os.get_inheritable(2)",
    ),
    "the size of a pipe": ("fcntl.fcntl(1, 1031, 4096)", "raw(72, 1, 1032, 0)"),
    "the signal of a file": ("fcntl.fcntl(1, 10, 40)", "raw(72, 1, 11, 0)"),
    "a hint of a file": (
        "raw(72, 0, 1036, struct.pack('Q', 2))",
        "(raw(72, 0, 1035, BUFFER), BUFFER.raw[:8].hex())[0]",
    ),
    "whether it can be traced": ("raw(157, 4, 1, 0, 0, 0)", "raw(157, 3, 0, 0, 0, 0)"),
    "a reaper of children": (
        "raw(157, 36, 1, 0, 0, 0)",
        "(raw(157, 37, BUFFER, 0, 0, 0), BUFFER.raw[:4].hex())[1]",
    ),
    "the clock that faults": (
        "raw(157, 26, 2, 0, 0, 0)",
        "(raw(157, 25, BUFFER, 0, 0, 0), BUFFER.raw[:4].hex())[1]",
    ),
    "speculation": ("raw(157, 53, 0, 4, 0, 0)", "raw(157, 52, 0, 0, 0, 0)"),
    "speculation of branches": ("raw(157, 53, 1, 4, 0, 0)", "raw(157, 52, 1, 0, 0, 0)"),
    "machine checks": ("raw(157, 33, 1, 0, 0, 0)", "raw(157, 34, 0, 0, 0, 0)"),
    "no huge pages": ("raw(157, 41, 1, 0, 0, 0)", "raw(157, 42, 0, 0, 0, 0)"),
    "capabilities that are kept": ("raw(157, 8, 1, 0, 0, 0)", "raw(157, 7, 0, 0, 0, 0)"),
    "memory that may not run": ("raw(157, 65, 1, 0, 0, 0)", "raw(157, 66, 0, 0, 0, 0)"),
    "merged memory": ("raw(157, 67, 1, 0, 0, 0)", "raw(157, 68, 0, 0, 0, 0)"),
    "a name of memory": (
        "globals()['mm'] = mmap.mmap(-1, 4096); raw(157, 0x53564d41, 0, ctypes.addressof(ctypes.c_char.from_buffer(globals()['mm'])), 4096, b'secret')",
        "'mm' in globals()",
    ),
    "dispatch of calls to the user": (
        "raw(157, 59, 1, 0, 0, BUFFER)",
        "(ctypes.memset(BUFFER, 1, 1), os.getpid(), ctypes.memset(BUFFER, 0, 1), 0)[3]",
    ),
    "a bound of capabilities": ("raw(157, 24, 1, 0, 0, 0)", "raw(157, 23, 1, 0, 0, 0)"),
    "securebits": ("raw(157, 28, 1, 0, 0, 0)", "raw(157, 27, 0, 0, 0, 0)"),
    "children that get no memory": ("KEPT.madvise(10)", "child(lambda: os._exit(KEPT[0]))"),
    "children that get empty memory": ("WIPED.madvise(18)", "child(lambda: os._exit(WIPED[0]))"),
    "a page that is a guard": (
        "raw(28, ctypes.addressof(BUFFER) + 8191 & ~4095, 4096, 102)",
        "len(BUFFER.raw)",
    ),
    "the last number of a process": (
        "[child(lambda: os._exit(0)) for _ in range(9)]",
        "(lambda p: p and (os.waitpid(p, 0), p)[1] or os._exit(0))(os.fork())",
    ),
    "its scheduler's slice": (
        "raw(314, 0, struct.pack('IIQiIQQQ', 48, 0, 0, 0, 0, 50_000_000, 0, 0), 0)",
        "(raw(315, 0, BUFFER, 48, 0), BUFFER.raw[24:32].hex())[1]",
    ),
    "its scheduler: idle": (
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_getscheduler(0)",
    ),
    "reset at forks": (
        "os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))",
        "os.sched_getscheduler(0)",
    ),
    "the priority of its group": (
        "os.setpriority(os.PRIO_PGRP, 0, 12)",
        "os.getpriority(os.PRIO_PROCESS, 0)",
    ),
    "the priority of its user": (
        "os.setpriority(os.PRIO_USER, 0, 13)",
        "os.getpriority(os.PRIO_PROCESS, 0)",
    ),
    "the group of processes": ("os.setpgid(0, 0)", "os.getpgid(0)"),
    "a limit of signals that wait": (
        "resource.setrlimit(11, (7, 7))",
        "str(resource.getrlimit(11))",
    ),
    "a limit of stack": (
        "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))",
        "str(resource.getrlimit(resource.RLIMIT_STACK))",
    ),
    "a limit of real time": ("resource.setrlimit(15, (0, 0))", "str(resource.getrlimit(15))"),
    "a profile's timer": (
        "signal.signal(27, signal.SIG_IGN); signal.setitimer(signal.ITIMER_PROF, 100)",
        "signal.getitimer(signal.ITIMER_PROF)[0] > 0",
    ),
    "a virtual timer": (
        "signal.setitimer(signal.ITIMER_VIRTUAL, 100)",
        "signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0",
    ),
    "a timer of processor time": ("raw(222, 2, 0, BUFFER)", "raw(224, 0, BUFFER)"),
    "signals blocked, real time ones": (
        "signal.pthread_sigmask(0, {50})",
        "sorted(map(int, signal.pthread_sigmask(0, set())))",
    ),
    "a stack for signals that is armed once": (
        "raw(131, struct.pack('Qi4xQ', ctypes.addressof(BUFFER), -2147483648, 1 << 15), 0)",
        "(raw(131, 0, BUFFER), BUFFER.raw[8:12].hex())[1]",
    ),
    "a child that sleeps": (
        "os.fork() or time.sleep(60)",
        "(lambda: os.waitpid(-1, os.WNOHANG))() if False else raw(61, -1, BUFFER, 1, 0)",
    ),
    "a grandchild in a session of its own": (
        "os.fork() or (os.setsid(), os.fork() or time.sleep(60), os._exit(0))",
        "raw(61, -1, BUFFER, 1, 0)",
    ),
    "a child that ignores all signals": (
        "os.fork() or ([signal.pthread_sigmask(0, range(1, 64))], time.sleep(60))",
        "raw(61, -1, BUFFER, 1, 0)",
    ),
    "a process descriptor": ("os.dup2(os.pidfd_open(os.getpid()), 60)", "raw(72, 60, 1, 0)"),
    "a Landlock ruleset": (
        "os.dup2(raw(444, struct.pack('QQQ', 1, 0, 0), 24, 0), 61)",
        "raw(72, 61, 1, 0)",
    ),
    "a memfd that is sealed": (
        "(lambda f: (fcntl.fcntl(f, 1033, 15), os.dup2(f, 62)))(os.memfd_create('x', 2))",
        "raw(72, 62, 1, 0)",
    ),
    "a signal's descriptor": ("os.dup2(raw(282, -1, bytes(8), 8, 0), 63)", "raw(72, 63, 1, 0)"),
    "the socket's mark of its peer": (
        "socket.socket(fileno=os.dup(3)).setsockopt(1, 16, 1)",
        "(lambda s: s.getsockopt(1, 16))(socket.socket(fileno=os.dup(3)))",
    ),
    "the socket's least of a read": (
        "socket.socket(fileno=os.dup(3)).setsockopt(1, 18, 7)",
        "(lambda s: s.getsockopt(1, 18))(socket.socket(fileno=os.dup(3)))",
    ),
    "the socket's time stamps": (
        "socket.socket(fileno=os.dup(3)).setsockopt(1, 29, 1)",
        "(lambda s: s.getsockopt(1, 29))(socket.socket(fileno=os.dup(3)))",
    ),
    "a registered barrier": ("raw(324, 1 << 4, 0, 0)", "raw(324, 1 << 9, 0, 0)"),
    "huge pages asked for": (
        "globals()['mh'] = mmap.mmap(-1, 1 << 22); globals()['mh'].madvise(14)",
        "'mh' in globals()",
    ),
    "a mapping that grows down": (
        "globals()['mg'] = raw(9, 0, 4096, 3, 0x122, -1, 0)",
        "'mg' in globals()",
    ),
    "tagged addresses": (
        "raw(158, 0x4002, 6)",
        "(raw(158, 0x4001, BUFFER), BUFFER.raw[:8].hex())[1]",
    ),
    "the processor's name hidden": ("raw(158, 0x1012, 0)", "raw(158, 0x1011, 0)"),
    "a robust mutex that is held": (
        "raw(273, BUFFER, 24)",
        "(raw(274, 0, ctypes.addressof(BUFFER) + 64, ctypes.addressof(BUFFER) + 72), BUFFER.raw[64:72] == struct.pack('Q', ctypes.addressof(BUFFER)))[1]",
    ),
}


def refused(node: TestNode, plant: str) -> bool:
    """Tell whether what is to be planted is refused; the kernel may say so by a number."""
    said = ask(node, "pr", ask=plant)
    result = said.get("result")
    return "result" not in said or (isinstance(result, int) and result < 0)


def row(node: TestNode, plant: str, look: str) -> tuple[bool, str]:
    """Plant; look from other calls.

    Raises BrokenAttemptError: what is planted is not seen even by the call that plants it.
    """
    pristine = ask(node, "pr", ask=look)
    planted = ask(node, "pr", do=plant, ask=look)
    if planted == pristine and not refused(node, plant):
        raise BrokenAttemptError(f"{planted} before and after it is planted")
    if str(planted.get("error", "")).startswith("TypeError"):
        raise BrokenAttemptError(str(planted))
    seen = [ask(node, "pr", ask=look) for _ in range(LOOKS)]
    left = [one for one in seen if one != pristine]
    return bool(left), f"{str(pristine)[:50]} | planted {str(planted)[:60]} | {str(left[:1])[:90]}"


def attempts(node: TestNode) -> Attempts:
    """Try all."""
    from .kernel import LIMITS, PROBE

    node.deploy(PROBE + AT_IMPORT, project="pr", name="probe", limits=LIMITS, unguarded=True)
    for _ in range(8):
        ask(node, "pr", ask="1")
    for name, (plant, look) in {**PYTHON, **C, **KERNEL}.items():
        yield tried(name, partial(row, node, plant, look))

"""What a call can leave in its process, as rows of code for `functions/attacks/residue.py`.

Each row plants one thing. AGAIN has what is gone when the process is set back, and used again; GONE
what costs the process its use; DENIED what is refused in the first place; ENDED what ends it.
In the call that plants it, all but DENIED and UNSEEN shows: a row that does nothing proves nothing.
"""

from __future__ import annotations

from pathlib import Path

from casemate.kernel import machines

_CODE = Path(__file__).parent.parent / "functions" / "attacks" / "residue.py"


def source(at_import: str = "") -> str:
    """Return the function that leaves something; `at_import` is run when it is imported."""
    text = _CODE.read_text()
    return f"CALLS = {dict(machines.X86_64.calls)}\n{text}\n{at_import}\nNAMES |= set(globals())\n"


PYTHON = {
    # what a module holds
    "a new name": "globals()['residue'] = 7",
    "a list of the module": "state.append(event)",
    "a dictionary of the module": "items['x'] = 'secret'",
    "a set of the module": "table.add('secret')",
    "a counter": "next(ring)",
    "a bounded queue": "queue.append('secret')",
    "a byte array": "text[:] = b'secret'",
    "a global rebound": "globals()['word'] = 'secret'",
    "a function rebound": "globals()['cached'] = functools.lru_cache(lambda value: value)",
    "the handler rebound": "globals()['handler'] = lambda event, context: 'secret'",
    "an attribute of an object": "thing.secret = 7",
    "an attribute of a class": "Thing.secret = 7",
    "a number of a class": "Thing.count += 1",
    "a method of a class": "Thing.__len__ = lambda self: 7",
    "a slot": "slotted.value = 'secret'",
    "a cache": "cached('secret')",
    "a default argument": "default('secret')",
    "defaults exchanged": "default.__defaults__ = (['secret'],)",
    "an attribute of a function": "default.secret = 7",
    "code exchanged": "cached.__wrapped__.__code__ = (lambda value: 'secret').__code__",
    "a name of a function": "handler.__name__ = 'secret'",
    "a closure": "change('secret')",
    "a generator closed": "running.close()",
    "a random generator of the module": "own_random.random()",
    "a lock": "lock.acquire()",
    "an event": "event_flag.set()",
    "a context variable": "__import__('contextvars').copy_context(); variable.set('secret')",
    "thread-local data": "local.secret = 7",
    "garbage in a ring": "a = []; a.append(a); globals()['residue'] = a; gc.collect()",
    "much memory": "state.extend(b'x' * 1000 for _ in range(1500))",
    "a heap that has grown": "state.extend(bytearray(b'x' * 100_000) for _ in range(120))",
    "a large array": "state.append(bytearray(30_000_000))",
    # the interpreter
    "the environment": "os.environ['RESIDUE'] = 'secret'",
    "the environment emptied": "os.environ.clear()",
    "a module": "sys.modules['residue'] = types.ModuleType('residue')",
    "a module taken away": "del sys.modules['json']",
    "a late import": "import decimal, fractions",
    "a function of a library": "json.dumps = lambda value: 'secret'",
    "a function of a module in C": "os.getcwd = lambda: '/secret'",
    "the clock": "time.time = lambda: 0.0",
    "an attribute of a module": "os.secret = 7",
    "a builtin": "builtins.secret = 7",
    "a builtin exchanged": "builtins.secret, builtins.print = 7, lambda *_: None",
    "the search path": "sys.path.insert(0, '/tmp')",
    "a finder of modules": "sys.meta_path.insert(0, object())",
    "a hook for paths": "sys.path_hooks.append(lambda path: None)",
    "no compiled files": "sys.dont_write_bytecode = not sys.dont_write_bytecode",
    "a hook for exceptions": "sys.excepthook = lambda *_: None",
    "a hook for shown values": "sys.displayhook = lambda *_: None",
    "a hook for lost exceptions": "sys.unraisablehook = lambda *_: None",
    "a hook for threads": "threading.excepthook = lambda *_: None",
    "a trace function": "sys.settrace(lambda *_: None)",
    "a profile function": "sys.setprofile(lambda *_: None)",
    "a trace function for threads": "threading.settrace(len)",
    "hooks for generators": "sys.set_asyncgen_hooks(firstiter=len)",
    "where coroutines come from": "sys.set_coroutine_origin_tracking_depth(7)",
    "an audit hook": (
        "def hook(name, arguments):\n"
        "    if name == 'casemate.residue': raise ValueError('secret')\n"
        "sys.addaudithook(hook)"
    ),
    "standard output": "import io; sys.stdout = io.StringIO()",
    "standard input": "sys.stdin = None",
    "arguments": "sys.argv.append('secret')",
    "the limit of recursion": "sys.setrecursionlimit(5000)",
    "the switch interval": "sys.setswitchinterval(0.5)",
    "the longest number": "sys.set_int_max_str_digits(100_000)",
    "when garbage is collected": "gc.set_threshold(7, 7, 7)",
    "no garbage collection": "gc.disable() if gc.isenabled() else gc.enable()",
    "a callback of the collector": "gc.callbacks.append(lambda *_: None)",
    "garbage that is kept": "gc.garbage.append('secret')",
    "a function for the end": "atexit.register(len)",
    "traced memory": "tracemalloc.start()",
    # libraries
    "a codec": "codecs.register(lambda name: name == 'residue' and codecs.lookup('ascii') or None)",
    "decimal places": "decimal.getcontext().prec = 7",
    "decimal places of all": "decimal.DefaultContext.prec = 7",
    "a filter of warnings": "warnings.simplefilter('error')",
    "the level of logging": "logging.root.setLevel(7)",
    "a handler of logging": "logging.root.addHandler(logging.NullHandler())",
    "logging disabled": "logging.disable(50)",
    "a filter of a logger": "logger.addFilter(lambda record: False)",
    "a name of a level": "logging.addLevelName(77, 'secret')",
    "a time-out of sockets": "socket.setdefaulttimeout(7)",
    "where temporary files go": "tempfile.tempdir = '/secret'",
    "the policy of loops": "asyncio.get_event_loop_policy = lambda: None",
    "a tool that watches": (
        "sys.monitoring.use_tool_id(3, 'secret') if hasattr(sys, 'monitoring') else state.append(1)"
    ),
    "an object of constants": "ctypes.memmove(id(constant) + 32, b'secret', 6)",
}
"""What shows to Python."""

C = {
    "the heap": "ctypes.memset(PAGE, 67, 4096)",
    "mapped memory": "ctypes.memset(WHOLE, 67, SIZE)",
    "a byte in the middle of a mapping": "ctypes.memset(WHOLE + 33333, 67, 1)",
    "machine code": "ctypes.memmove(CODE + 2048, b'code', 4)",
    "a seed": "libc.srand(5)",
    "the state of a generator": "libc.rand()",
    "the environment of C": "libc.setenv(b'RESIDUE', b'secret', 1)",
    "a variable that is a string of the caller's": (
        "globals()['keep'] = ctypes.create_string_buffer(b'RESIDUE=secret'); libc.putenv(keep)"
    ),
    "the state of strtok": "libc.strtok(ctypes.create_string_buffer(b'a b c'), b' ')",
    "the state of getopt": "OPTIND.value = 77",
    "the locale of C": "libc.setlocale(6, b'C')",
    "text that is not written yet": "libc.printf(b'secret')",
    "thread-specific data": "libc.pthread_setspecific(KEY, ctypes.c_void_p(7))",
    "the rounding mode": "libm.fesetround(0x800)",
    "traps of numbers": "libm.feenableexcept(4)",
    "a segment's base": "machine(SET_GS)",
    "new memory": "raw('mmap', FREE, SIZE, 3, 0x32, -1, 0); ctypes.memset(FREE, 67, SIZE)",
    "new code": "raw('mmap', FREE, SIZE, 7, 0x32, -1, 0); ctypes.memset(FREE, 0xc3, SIZE)",
    "a file mapped": (
        "f = os.open(__file__, 0); raw('mmap', FREE, 4096, 1, 0x12, f, 0); os.close(f)"
    ),
}
"""What shows to C, and costs the process nothing."""

UNSEEN_AGAIN = {
    "freed memory": (
        "p = libc.malloc(5000); ctypes.memset(p, 67, 5000); libc.free(ctypes.c_void_p(p))"
    ),
    "the stack": "f = lambda f, n: n and f(f, n - 1); f(f, 300); globals().pop('f', None)",
    "an interned string": "sys.intern('secret-' + str(7))",
    "pending output": "print('x' * 500, end='')",
    "the heap grown": "raw('brk', raw('brk', 0) + 5 * SIZE)",
    "memory mapped and unmapped": "raw('munmap', raw('mmap', 0, SIZE, 3, 0x22, -1, 0), SIZE)",
    "a temporary file": "tempfile.TemporaryFile().close()",
    "a named file": "with tempfile.NamedTemporaryFile() as f: f.write(b'x' * 9000)",
    "a folder": "with tempfile.TemporaryDirectory() as f: open(f + '/x', 'w').write('x')",
    "the times of /tmp": "os.utime('/tmp', ns=(5, 7))",
    "the affinity": "os.sched_setaffinity(0, {0})",
    "a lock on a file": "f = open(__file__); fcntl.flock(f, 2); f.close()",
    "a pair of sockets": "a, b = socket.socketpair(); a.send(b'x'); a.close(); b.close()",
    "a loop": "asyncio.run(asyncio.sleep(0))",
    "an exception with what it held": "state_ = [event]; raise ValueError(state_)",
    "an exception that is no Exception": "raise KeyboardInterrupt",
    "the end of the interpreter": "raise SystemExit(7)",
    "an exception in a deep place": "(lambda f: f(f))(lambda f: f(f))",
    "a log line": "context.log.info('secret')",
    "logged": "logger.warning('secret')",
    "the state of random": "random.seed(3)",
    "a regular expression": "re.compile('secret(a|b)*')",
    "an answer that cannot be sent": "result = object()",
    "a thread that has ended": "t = threading.Thread(target=len, args=('',)); t.start(); t.join()",
    "a thread with a name": (
        "threading.Thread(daemon=True, target=lambda: (raw('prctl', 15, "
        "ctypes.c_char_p(b'secret'), 0, 0, 0), time.sleep(99))).start()"
    ),
    "a loop's threads": "asyncio.run(asyncio.to_thread(len, 'secret'))",
}
"""What nothing shows when the call is over, and costs the process nothing."""

CLOSED = {
    "a descriptor left open": "os.pipe()",
    "memory with a descriptor": "os.memfd_create('residue')",
    "an epoll": "import select; globals()['residue'] = select.epoll()",
    "an eventfd": "raw('eventfd2', 0, 0)",
    "a timer with a descriptor": "raw('timerfd_create', 1, 0)",
    "a socket": "globals()['residue'] = socket.socket()",
    "a connected pair": "globals()['residue'] = socket.socketpair()",
    "a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "a descriptor of the process": "os.pidfd_open(os.getpid())",
}
"""What is closed at the end of each call, and so gone: the process is used again."""

_DAEMON = "threading.Thread(target={}, daemon=True).start()"
TAKEN_AWAY = {
    "a signal that is ignored": "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "a signal that is handled": "signal.signal(signal.SIGUSR1, lambda *_: None)",
    "a thread": _DAEMON.format("lambda: time.sleep(99)"),
    "threads": f"[{_DAEMON.format('lambda: time.sleep(99)')} for _ in range(9)]",
    "a thread that holds a lock": _DAEMON.format("lambda: lock.acquire() and time.sleep(99)")
    + "; time.sleep(0.01)",
    "a pool": (
        "import concurrent.futures as f; globals()['residue'] = p = f.ThreadPoolExecutor(4); "
        "list(p.map(len, ['secret'] * 20))"
    ),
}
"""What is taken away from outside, wholly: the process is used again."""

GONE = {
    "memory mapped over": "raw('mmap', WHOLE, SIZE, 3, 0x32, -1, 0)",
    "memory made read-only, and back": (
        "ctypes.memset(WHOLE, 67, 9); raw('mprotect', "
        "WHOLE, SIZE, 1); raw('mprotect', WHOLE, SIZE, 3)"
    ),
    "the content of pages dropped": "raw('madvise', WHOLE, SIZE, 4)",
    "memory moved away": (
        "raw('mremap', WHOLE, SIZE, SIZE, 3, FREE); raw('mmap', WHOLE, SIZE, 3, 0x32, -1, 0)"
    ),
    "code of a library patched": (
        "raw('mprotect', LIBRARY & ~4095, 8192, 7); "
        "ctypes.memmove(LIBRARY, b'\\xb8\\x07\\x00\\x00\\x00\\xc3', 6);"
        "raw('mprotect', LIBRARY & ~4095, 8192, 5)"
    ),
    "shared memory": "raw('mmap', FREE, SIZE, 3, 0x31, -1, 0)",
    "a segment's base by a call": "raw('arch_prctl', 0x1001, 5)",
    "more memory than is written back": "ctypes.memset(WIDE, 67, WIDE_SIZE)",
    "a signal mask": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
    "a pending signal": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, "
        "[signal.SIGUSR1]); os.kill(os.getpid(), signal.SIGUSR1)"
    ),
    "a stack for signals": (
        "raw('sigaltstack', ctypes.create_string_buffer(struct.pack('QQQ', WHOLE, 0, SIZE)), 0)"
    ),
    "faults reported": "faulthandler.enable(sys.__stderr__)",
    "an alarm": "signal.alarm(100)",
    "a timer of the process": "signal.setitimer(signal.ITIMER_VIRTUAL, 100)",
    "standard input closed": "os.close(0)",
    "another file as standard input": "f = os.open(__file__, 0); os.dup2(f, 0); os.close(f)",
    "standard output elsewhere": "f = os.open('/dev/zero', 1); os.dup2(f, 1); os.close(f)",
    "a duplicate of its socket": "os.dup(3)",
    "standard input without blocking": "raw('fcntl', 0, 4, 0o4002)",
    "standard input that appends": "raw('fcntl', 0, 4, 0o2002)",
    "its socket without blocking": "raw('fcntl', 3, 4, 0o4000 | 2)",
    "its socket inherited": "raw('fcntl', 3, 2, 0 if raw('fcntl', 3, 1) else 1)",
    "the buffer of its socket": (
        "raw('setsockopt', 3, 1, 7, ctypes.create_string_buffer(struct.pack('i', 70_000)), 4)"
    ),
    "a time-out of its socket": (
        "raw('setsockopt', 3, 1, 20, ctypes.create_string_buffer(struct.pack('qq', 77, 0)), 16)"
    ),
    "a file in /tmp": "open('/tmp/residue', 'w').write('secret')",
    "an empty folder in /tmp": "os.mkdir('/tmp/residue')",
    "a link in /tmp": "os.symlink('secret', '/tmp/residue')",
    "the folder": "os.chdir('/tmp')",
    "a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))",
    "a soft limit": "resource.setrlimit(resource.RLIMIT_CPU, (1000, -1))",
    "the priority": "os.nice(1)",
    "the scheduler": "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
}
"""What shows, and costs the process its use."""

GONE_DEEP = {
    "the mode of new files": "os.umask(0o77)",
    "the name": "raw('prctl', 15, ctypes.c_char_p(b'secret'), 0, 0, 0)",
    "the parent's death signal": "raw('prctl', 1, 10, 0, 0, 0)",
    "the slack of timers": "raw('prctl', 29, 70_000, 0, 0, 0)",
    "a timer": "raw('timer_create', 1, 0, SCRATCH)",
    "a child": "os.fork() or time.sleep(9)",
    "a child that has ended": "os.fork() or os._exit(0)",
    "a signal of standard input": "raw('fcntl', 0, 10, 12)",
    "the owner of standard input": "raw('fcntl', 0, 8, os.getpid())",
    "huge pages": "raw('prctl', 41, 1, 0, 0, 0)",
}
"""What shows only by calls that are flagged themselves."""

UNSEEN_GONE = {
    "an address of a thread's end": "raw('set_tid_address', WHOLE)",
    "a list of locks": "raw('set_robust_list', WHOLE, 24)",
    "a restartable sequence": "raw('rseq', WHOLE, 32, 0, 0x53053053)",
    "permission for AMX": "raw('arch_prctl', 0x1023, 18)",
    "the lock of shadow stacks": "raw('arch_prctl', 0x5003, 1)",
    "memory locked": "raw('mlock', WHOLE, 4096)",
    "all memory locked": "raw('mlockall', 2)",
    "advice on memory": "raw('madvise', WHOLE, SIZE, 14)",
    "the owner of its socket": "raw('fcntl', 3, 8, os.getpid())",
    "the end of a direction": "raw('shutdown', 3, 9)",
    "a byte out of band": "raw('sendto', 3, ctypes.c_char_p(b'x'), 0, 1, 0, 0)",
    "a descriptor sent to oneself": (
        "a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [3]); a.close(); b.close()"
    ),
    "a duplicate, closed": "os.close(os.dup(3))",
    "signals for a file": "os.close(os.open('/dev/null', 0o20000))",
    "a child, waited for": "os.waitpid(os.fork() or os._exit(0), 0)",
    "a signal to oneself": "signal.raise_signal(signal.SIGCONT)",
    "the heap cut and grown": "h = raw('brk', 0); raw('brk', h - 4096); raw('brk', h)",
    "a session": "raw('setsid')",
    "a process group": "raw('setpgid', 0, 0)",
    "a Landlock domain": "raw('landlock_create_ruleset', LIMIT, 8, 0)",
    "a broken-off call made again": "raw('restart_syscall')",
    "barriers": "raw('membarrier', 16, 0, 0)",
}
"""What nothing shows, or is refused, and costs the process its use all the same."""

DENIED = {
    "a key": "result = raw('add_key', b'user', b'residue', b'x', 1, -3)",
    "shared memory of System V": "result = raw('shmget', 0, 4096, 0o1600)",
    "a message queue": "result = raw('mq_open', b'residue', 0o102, 0o600, 0)",
    "semaphores of System V": "result = raw('semget', 0, 1, 0o1600)",
    "a counter of the processor": "result = raw('perf_event_open', SCRATCH, 0, -1, -1, 0)",
    "equal pages merged": "result = raw('madvise', WHOLE, SIZE, 12)",
    "all equal pages merged": "result = raw('prctl', 67, 1, 0, 0, 0)",
    "an attribute of /tmp": "result = raw('setxattr', b'/tmp', b'user.x', b'secret', 6, 0)",
    "the mode of /tmp": "result = raw('chmod', b'/tmp', 0o700)",
    "a ring of calls": "result = raw('io_uring_setup', 4, SCRATCH)",
    "a program for the kernel": "result = raw('bpf', 0, SCRATCH, 128)",
    "a watch on memory": "result = raw('userfaultfd', 1)",
    "a watch on files": "result = raw('inotify_init1', 0)",
    "a pipe in /tmp": "result = raw('mknod', b'/tmp/residue', 0o10600, 0)",
    "a filter": "result = raw('seccomp', 1, 0, SCRATCH)",
    "where its socket is peeked at": "result = raw('setsockopt', 3, 1, 42, SCRATCH, 4)",
    "credentials by its socket": "result = raw('setsockopt', 3, 1, 16, SCRATCH, 4)",
    "a mount": "result = raw('mount', b'tmpfs', b'/tmp', b'tmpfs', 0, 0)",
    "a namespace": "result = raw('unshare', 0x10000000)",
    "a trace": "result = raw('ptrace', 0, 0, 0, 0)",
    "a table of segments": "result = raw('modify_ldt', 0, SCRATCH, 16)",
    "another personality": "result = raw('personality', 0x0040000)",
}
"""What is refused, in both ways."""

ENDED = {
    "a crash": "state.append('secret'); ctypes.string_at(8)",
    "an end": "state.append('secret'); os._exit(3)",
    "an abort": "state.append('secret'); os.abort()",
    "a signal": "state.append('secret'); os.kill(os.getpid(), signal.SIGKILL) or time.sleep(9)",
    "a wild jump": "state.append('secret'); libc.qsort(WHOLE, SIZE, 1, 1)",
    "its socket closed": "state.append('secret'); os.close(3)",
    "alignment is checked": "machine(bytes.fromhex('9c480fba2c24129dc3')); 7 / state.count(7)",
    "text goes backwards": "machine(bytes.fromhex('fdc3')); state.extend(b'x' * 9000)",
    "time runs out": "state.append('secret'); open('/tmp/residue', 'w').write('x'); time.sleep(99)",
    "time runs out at work": "state.append('secret')\nwhile True: pass",
    "memory runs out": (
        "state.append('secret'); state.append(bytearray(1 "
        "<< 30)); state[-1][::4096] = b'x' * (1 << 18)"
    ),
    "a frame that is not due": (
        "state.append('secret'); os.write(3, b'R' + bytes(8)); time.sleep(9)"
    ),
    "rubbish for the gateway": "state.append('secret'); os.write(3, b'?' * 64); time.sleep(9)",
}
"""What ends the process in the middle of the call."""

IMPORTED = {
    "a list": ("I_LIST = []", "I_LIST.append('secret')", "I_LIST"),
    "an iterator": (
        "I_ITERATOR = iter('abcdef')",
        "next(I_ITERATOR)",
        "repr(I_ITERATOR.__reduce__())",
    ),
    "a generator of numbers": (
        "I_RANDOM = random.Random(3)",
        "I_RANDOM.random()",
        "hash(I_RANDOM.getstate())",
    ),
    "a text in memory": (
        "import io; I_TEXT = io.StringIO('abc')",
        "I_TEXT.write('secret')",
        "[I_TEXT.tell(), I_TEXT.getvalue()]",
    ),
    "a database in memory": (
        "import sqlite3; I_DATABASE = sqlite3.connect(':memory:', check_same_thread=False)\n"
        "I_DATABASE.execute('create table t (x)')",
        "I_DATABASE.execute('insert into t values (1)')",
        "I_DATABASE.execute('select count(*) from t').fetchone()",
    ),
    "private memory": (
        "I_MEMORY = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
        "I_MEMORY[:6] = b'secret'; I_MEMORY.seek(7)",
        "[I_MEMORY[:6], I_MEMORY.tell()]",
    ),
    "a variable of the environment": (
        "os.environ['I_NAME'] = 'clean'",
        "os.environ['I_NAME'] = 'secret'",
        "[os.environ['I_NAME'], libc.getenv(b'I_NAME')]",
    ),
    "a structure of C": (
        "I_BYTES = ctypes.create_string_buffer(b'clean')",
        "I_BYTES.value = b'other'",
        "I_BYTES.value",
    ),
    "decimal places": (
        "decimal.getcontext().prec = 9",
        "decimal.getcontext().prec = 3",
        "decimal.getcontext().prec",
    ),
    "a handler of logging": (
        "import io; I_STREAM = io.StringIO(); I_LOG = logging.getLogger('i')\n"
        "I_LOG.addHandler(logging.StreamHandler(I_STREAM)); I_LOG.propagate = False",
        "I_LOG.error('secret')",
        "I_STREAM.getvalue()",
    ),
    "a hook": ("sys.excepthook = len", "sys.excepthook = repr", "sys.excepthook.__name__"),
    "a patched library": (
        "json.dumps = functools.partial(json.dumps, indent=1)",
        "json.dumps.keywords['indent'] = 7",
        "json.dumps.keywords",
    ),
    "a seed of C": ("libc.srandom(5)", "libc.random()", "libc.random()"),
    "a locale": (
        "libc.setlocale(1, b'C.UTF-8')",
        "libc.setlocale(1, b'C')",
        "libc.setlocale(1, None)",
    ),
    "a signal handler": (
        "signal.signal(signal.SIGUSR2, len)",
        "signal.signal(signal.SIGUSR2, signal.SIG_DFL)",
        "signal.getsignal(signal.SIGUSR2)",
    ),
    "the mode of new files": (
        "os.umask(0o27)",
        "os.umask(0o77)",
        "(os.umask(0o1), os.umask(0o27))[0]",
    ),
    "the folder": ("os.chdir('/')", "os.chdir('/tmp')", "os.getcwd()"),
    "a limit": (
        "resource.setrlimit(resource.RLIMIT_CPU, (2000, -1))",
        "resource.setrlimit(resource.RLIMIT_CPU, (1000, -1))",
        "resource.getrlimit(resource.RLIMIT_CPU)",
    ),
    "the name": (
        "raw('prctl', 15, ctypes.c_char_p(b'clean'), 0, 0, 0)",
        "raw('prctl', 15, ctypes.c_char_p(b'secret'), 0, 0, 0)",
        "asked('prctl', 16, ..., 0, 0, 0)",
    ),
    "the slack of timers": (
        "raw('prctl', 29, 60_000, 0, 0, 0)",
        "raw('prctl', 29, 70_000, 0, 0, 0)",
        "raw('prctl', 30, 0, 0, 0, 0)",
    ),
    "a loop": (
        "I_LOOP = asyncio.new_event_loop()",
        "I_LOOP.call_soon(len); I_LOOP.run_until_complete(asyncio.sleep(0)); I_LOOP.call_soon(len)",
        "len(I_LOOP._ready)",
    ),
    "a file that is read": (
        "I_FILE = open(__file__)\nI_FILE.readline()",
        "I_FILE.read(100)",
        "[I_FILE.tell(), os.lseek(I_FILE.fileno(), 0, 1)]",
    ),
    "a socket": (
        "I_SOCKET = socket.socket()",
        "I_SOCKET.setsockopt(1, 9, 1)",
        "I_SOCKET.getsockopt(1, 9)",
    ),
}
"""What an import made, what a call does to it, and what shows that."""

HOSTILE = {
    "it says that it is traced": (
        "sys.modules['casemate.runner.restorable'].offer = lambda hold: True"
    ),
    "it offers something else": (
        "def _offer(hold):\n"
        "    with socket.socket(fileno=hold) as sock:\n"
        "        socket.send_fds(sock, [b'w'], [0])\n"
        "        return sock.recv(1) == b'y'\n"
        "sys.modules['casemate.runner.restorable'].offer = _offer"
    ),
    "it offers nothing": (
        "def _offer(hold):\n"
        "    with socket.socket(fileno=hold) as sock:\n"
        "        sock.send(b'w')\n"
        "        return sock.recv(1) == b'y'\n"
        "sys.modules['casemate.runner.restorable'].offer = _offer"
    ),
    "it offers more than one": (
        "def _offer(hold):\n"
        "    with socket.socket(fileno=hold) as sock:\n"
        "        socket.send_fds(sock, [b'w'], [0, 1, 2])\n"
        "        return sock.recv(1) == b'y'\n"
        "sys.modules['casemate.runner.restorable'].offer = _offer"
    ),
    "it skips the filter": (
        "_instance = sys.modules['casemate.runner.instance']; _before = _instance.lock_down\n"
        "_instance.lock_down = lambda **given: _before(**(given | {'flag': None}))"
    ),
    "it loads the filter twice": (
        "_instance = sys.modules['casemate.runner.instance']; _before = _instance.lock_down\n"
        "def _twice(**given):\n"
        "    given['flag'] and given['flag'].install()\n"
        "    _before(**given)\n"
        "_instance.lock_down = _twice"
    ),
    "it leaves a child": (
        "_instance = sys.modules['casemate.runner.instance']; _before = _instance.lock_down\n"
        "def _forks(**given):\n"
        "    if not os.fork():\n"
        "        time.sleep(9)\n"
        "        os._exit(0)\n"
        "    _before(**given)\n"
        "_instance.lock_down = _forks"
    ),
    "it keeps its descriptor": (
        "_restorable = sys.modules['casemate.runner.restorable']; "
        "_before = _restorable.userfault.create\n"
        "_restorable.userfault.create = lambda: os.dup(_before())"
    ),
}
"""Imports that would have their instances taken for what they are not. Each line comes last."""

PREPARED = {
    "memory as standard input": (
        "f = os.memfd_create('x'); os.dup2(f, 0); os.close(f)",
        "os.pwrite(0, b'secret', 0)",
        "os.pread(0, 9, 0)",
    ),
    "a counter as standard input": (
        "f = raw('eventfd2', 0, 0o4000); os.dup2(f, 0); os.close(f)",
        "os.write(0, struct.pack('Q', 7))",
        "select.select([0], [], [], 0)[0]",
    ),
    "a file in /tmp": (
        "open('/tmp/made', 'w').write('clean')",
        "f = os.open('/tmp/made', 1); os.pwrite(f, b'other', 0); os.close(f)",
        "open('/tmp/made').read()",
    ),
    "links in /tmp": (
        "os.symlink('clean', '/tmp/made')",
        "os.remove('/tmp/made'); os.symlink('other', '/tmp/made')",
        "os.readlink('/tmp/made')",
    ),
    "shared memory": (
        "I_SHARED = mmap.mmap(-1, 4096)",
        "I_SHARED[:6] = b'secret'",
        "I_SHARED[:6]",
    ),
    "two views of one memory": (
        "f = os.memfd_create('x'); os.ftruncate(f, 4096); I_ONE = mmap.mmap(f, 4096)\n"
        "I_TWO = mmap.mmap(f, 4096, flags=mmap.MAP_PRIVATE); os.close(f)",
        "I_ONE[:6] = b'secret'",
        "I_TWO[:6]",
    ),
    "memory that is wiped in forks": (
        "I_WIPED = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "raw('madvise', ctypes.addressof(ctypes.c_char.from_buffer(I_WIPED)), 4096, 18)\n"
        "I_WIPED[:] = b'A' * 4096",
        "I_WIPED[0] = 66",
        "I_WIPED[:6]",
    ),
    "memory that grows down": (
        "I_DOWN = raw('mmap', 0x300000000000, SIZE, 3, 0x122, -1, 0)",
        "ctypes.memset(I_DOWN - 8192, 67, 4096)",
        "raw('mprotect', I_DOWN - 8192, 4096, 3)",
    ),
    "a thread that remembers": (
        "I_SEEN = queue\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "I_SEEN.append('secret')",
        "list(I_SEEN)",
    ),
    "a child": (
        "os.fork() or time.sleep(99)",
        "state.append('secret')",
        "state",
    ),
    "a signal that waits": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [35])\n"
        "[signal.raise_signal(35) for _ in range(3)]",
        "raw('signalfd4', -1, ctypes.create_string_buffer(struct.pack('Q', 1 << 34)), 8, 0)",
        "raw('rt_sigpending', SCRATCH, 8), SCRATCH.raw[:8].hex()",
    ),
    "a timer that goes on": (
        "signal.signal(signal.SIGVTALRM, signal.SIG_IGN)\n"
        "signal.setitimer(signal.ITIMER_VIRTUAL, 5000)",
        "signal.setitimer(signal.ITIMER_VIRTUAL, 900)",
        "signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 2000",
    ),
    "where random numbers come from": (
        "sys.modules['casemate.runner.restorable'].reseed = lambda: None",
        "state.append('secret')",
        "state",
    ),
    "what answers": (
        "I_INSTANCE = sys.modules['casemate.runner.instance']; I_SEEN = []\n"
        "_answered = I_INSTANCE.Instance._answered\n"
        "def _seen(self, head, event):\n"
        "    I_SEEN.append(event)\n"
        "    return _answered(self, head, event)\n"
        "I_INSTANCE.Instance._answered = _seen",
        "I_SEEN.append('secret')",
        "'secret' in I_SEEN",
    ),
}
"""What an import prepares that runs in the instance, what a call changes of it, what shows that."""

AGAIN = PYTHON | C | CLOSED | TAKEN_AWAY
_ROWS = (AGAIN, UNSEEN_AGAIN, GONE, GONE_DEEP, UNSEEN_GONE, DENIED, ENDED, IMPORTED, HOSTILE)
COUNT = sum(len(rows) for rows in _ROWS)
"""How many there are."""

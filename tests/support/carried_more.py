"""What else a call can leave in its process, in addition to the rows of `carried.py`: state of
libraries that those do not name. Each row is what plants it, and an expression that shows it.
"""

from __future__ import annotations

MORE_IMPORTS = """
import _thread, contextvars, copy, dataclasses, fnmatch, hashlib, http.cookies
import ipaddress, json.encoder, keyword, logging.config, operator, pathlib, pprint
import queue as queues, sched, secrets, traceback, unittest, urllib.parse, weakref, zlib

KEPT_CONTEXT = contextvars.copy_context()
KEPT_VARIABLE = contextvars.ContextVar("kept", default=0)
KEPT_QUEUE = queues.SimpleQueue()
KEPT_TIMES = sched.scheduler()
KEPT_WEAK = weakref.WeakValueDictionary()
KEPT_HASH = hashlib.sha256(b"a")
KEPT_PACKER = zlib.compressobj()

@dataclasses.dataclass
class Record:
    name: str = "a"
    values: list = dataclasses.field(default_factory=list)

KEPT_RECORD = Record()

class Described:
    def __set_name__(self, owner, name):
        self.name = name

class Made:
    field = Described()
"""
"""What is run at import, after that of `carried.py`."""

MORE = {
    "a context that was entered": ("KEPT_CONTEXT.run(KEPT_VARIABLE.set, 7)", "len(KEPT_CONTEXT)"),
    "a queue of the module": ("KEPT_QUEUE.put('secret')", "KEPT_QUEUE.qsize()"),
    "an appointment": ("KEPT_TIMES.enter(9, 1, len, ('secret',))", "len(KEPT_TIMES.queue)"),
    "a value that is held weakly": (
        "state.append(Thing()); KEPT_WEAK['x'] = state[-1]",
        "len(KEPT_WEAK)",
    ),
    "a hash that went on": ("KEPT_HASH.update(b'secret')", "KEPT_HASH.hexdigest()"),
    "a compressor that went on": (
        "KEPT_PACKER.compress(b'secret' * 99)",
        "len(KEPT_PACKER.copy().flush())",
    ),
    "a field of a record": ("KEPT_RECORD.values.append(7)", "KEPT_RECORD"),
    "a field of the class of records": (
        "Record.__dataclass_fields__['name'].default = 'secret'",
        "Record.__dataclass_fields__['name'].default",
    ),
    "a descriptor's name": (
        "Made.__dict__['field'].name = 'secret'",
        "Made.__dict__['field'].name",
    ),
    "lines of a file that is none": (
        "linecache.cache['<made>'] = (7, None, ['secret'], '<made>')",
        "'<made>' in linecache.cache",
    ),
    "patterns of names": (
        "fnmatch.fnmatch('secret', 'sec*77')",
        "fnmatch._compile_pattern.cache_info().currsize",
    ),
    "the encoder of JSON in C": (
        "json.encoder.c_make_encoder = None",
        "json.encoder.c_make_encoder is None",
    ),
    "the escapes of JSON": (
        "json.encoder.ESCAPE_DCT['a'] = 'secret'",
        "'a' in json.encoder.ESCAPE_DCT",
    ),
    "how numbers that are none are read": (
        "json.decoder._CONSTANTS['NaN'] = 'secret'",
        "str(json.decoder._CONSTANTS['NaN'])",
    ),
    "a scheme of addresses": (
        "urllib.parse.uses_netloc.append('secret')",
        "urllib.parse.uses_netloc",
    ),
    "what may stand in cookies": (
        "http.cookies.Morsel._reserved['x'] = 'x'",
        "http.cookies.Morsel._reserved",
    ),
    "a flag of cookies": (
        "http.cookies.Morsel._flags.add('secret')",
        "sorted(http.cookies.Morsel._flags)",
    ),
    "a function of operators": ("operator.add = len", "operator.add.__name__"),
    "how objects are copied": (
        "copy._deepcopy_dispatch[Thing] = len",
        "Thing in copy._deepcopy_dispatch",
    ),
    "what is printed how": (
        "pprint.PrettyPrinter._dispatch['secret'] = len",
        "'secret' in pprint.PrettyPrinter._dispatch",
    ),
    "words of the language": ("keyword.kwlist.append('secret')", "len(keyword.kwlist)"),
    "the random numbers of secrets": (
        "secrets.SystemRandom = len; secrets.token_bytes = lambda n: b'x'",
        "secrets.token_bytes.__name__",
    ),
    "what a path is": ("pathlib.PurePath.secret = 7", "hasattr(pathlib.PurePath, 'secret')"),
    "how tracebacks are shown": ("traceback.format_exc = len", "traceback.format_exc.__name__"),
    "the folder of examples": ("unittest.TestCase.maxDiff = 7", "unittest.TestCase.maxDiff"),
    "how logging is set up": (
        "logging.config._listener = 'secret'",
        "logging.config._listener",
    ),
    "a factory of proxies": (
        "ipaddress.IPv4Address.secret = 7",
        "hasattr(ipaddress.IPv4Address, 'secret')",
    ),
    "a function that another thread left": (
        "threading._shutdown = len",
        "threading._shutdown.__name__",
    ),
    "a name that counts for all": ("_thread.secret = 7", "hasattr(_thread, 'secret')"),
    "the end of the interpreter for threads": (
        "threading._register_atexit(len)",
        "len(threading._threading_atexits)",
    ),
    "a frame that is held": (
        "def g(secret):\n    yield secret\nstate.append(g('secret')); next(state[-1])",
        "len(state)",
    ),
    "a hook for breakpoints": ("sys.breakpointhook = len", "sys.breakpointhook.__name__"),
    "what the last error was": ("sys.last_exc = ValueError('secret')", "hasattr(sys, 'last_exc')"),
    "where types are found": (
        "sys.path_importer_cache['/secret'] = None",
        "'/secret' in sys.path_importer_cache",
    ),
    "a word that is not to be told": ("sys.flags_secret = 7", "hasattr(sys, 'flags_secret')"),
    "what modules are built in": (
        "sys.builtin_module_names += ('secret',)",
        "len(sys.builtin_module_names)",
    ),
    "what belongs to the library": (
        "sys.stdlib_module_names = frozenset()",
        "len(sys.stdlib_module_names)",
    ),
    "where compiled files go": ("sys.pycache_prefix = '/tmp'", "sys.pycache_prefix"),
    "a seed of 48 bits": ("libc.seed48((ctypes.c_ushort * 3)(7, 7, 7))", "libc.lrand48()"),
    "a table for looking up": ("libc.hcreate(30)", "libc.hcreate(30)"),
}

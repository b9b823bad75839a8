"""Rows of `carried.py`: what shows of Python's libraries, of the C library and the processor.

Each is what plants it, and an expression that shows it.
"""

from __future__ import annotations

LIBRARIES = {
    "a dialect of csv": ("csv.register_dialect('secret', delimiter='|')", "csv.list_dialects()"),
    "the longest field of csv": ("csv.field_size_limit(7)", "csv.field_size_limit()"),
    "how numbers are pickled": (
        "copyreg.pickle(complex, len)",
        "len(copyreg.dispatch_table), copyreg.dispatch_table.get(complex) is len",
    ),
    "an extension registered for pickle": (
        "copyreg.add_extension('secret', 'x', 77)",
        "dict(copyreg._extension_registry)",
    ),
    "a protocol of pickle": ("pickle.DEFAULT_PROTOCOL = 2", "pickle.DEFAULT_PROTOCOL"),
    "a type of files": ("mimetypes.add_type('x/y', '.secret')", "mimetypes.guess_type('a.secret')"),
    "lines that are kept": (
        "linecache.cache['secret'] = (6, None, ['secret'], 'secret')",
        "linecache.getline('secret', 1)",
    ),
    "an opener of addresses": (
        "urllib.request.install_opener(7)",
        "urllib.request._opener",
    ),
    "a prompt": ("sys.ps1 = 'secret'", "getattr(sys, 'ps1', '')"),
    "a folder that was looked through": (
        "sys.path_importer_cache['secret'] = None",
        "'secret' in sys.path_importer_cache",
    ),
    "an option of the interpreter": ("sys._xoptions['secret'] = '7'", "dict(sys._xoptions)"),
    "an option of warnings": ("sys.warnoptions.append('secret')", "list(sys.warnoptions)"),
    "a warning that was shown": (
        "warnings.warn_explicit('secret', UserWarning, 'x', 1, registry=WARNED)",
        "len(WARNED)",
    ),
    "how warnings are shown": (
        "warnings.showwarning = len",
        "getattr(warnings.showwarning, '__name__', '')",
    ),
    "warnings that come once": (
        "warnings.onceregistry['secret'] = 1",
        "dict(warnings.onceregistry)",
    ),
    "a handler of errors in text": (
        "codecs.register_error('secret', lambda error: ('', error.end))",
        "tried(lambda: codecs.lookup_error('secret').__name__)",
    ),
    "a codec that was used": ("'x'.encode('cp037')", "'cp037' in encodings._cache"),
    "a signal of decimals": (
        "decimal.Decimal(1) / 3",
        "decimal.getcontext().flags[decimal.Inexact]",
    ),
    "a trap of decimals": (
        "decimal.getcontext().traps[decimal.Inexact] = True",
        "tried(lambda: str(decimal.Decimal(1) / 3))",
    ),
    "how decimals are rounded": (
        "decimal.getcontext().rounding = decimal.ROUND_UP",
        "decimal.getcontext().rounding",
    ),
    "the largest decimal": ("decimal.getcontext().Emax = 77", "decimal.getcontext().Emax"),
    "what the collector tells": ("gc.set_debug(gc.DEBUG_SAVEALL)", "gc.get_debug()"),
    "an end of generators": (
        "sys.set_asyncgen_hooks(finalizer=len)",
        "sys.get_asyncgen_hooks()[1] is len",
    ),
    "the stack of threads": ("threading.stack_size(1 << 20)", "threading.stack_size()"),
    "a profile of threads": ("threading.setprofile(len)", "threading.getprofile()"),
    "the name of the thread": (
        "threading.current_thread().name = 'secret'",
        "threading.current_thread().name",
    ),
    "how many threads were named": ("threading.Thread()", "threading.Thread().name"),
    "pools that are shut": (
        "concurrent.futures.thread._shutdown = True",
        "concurrent.futures.thread._shutdown",
    ),
    "how many tasks were named": (
        "asyncio.run(asyncio.sleep(0))",
        "asyncio.run(own_name())",
    ),
    "a loop that seems to run": (
        "asyncio._set_running_loop('secret')",
        "asyncio._get_running_loop()",
    ),
    "a policy of loops": (
        "asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())",
        "asyncio.events._event_loop_policy is None",
    ),
    "a new variable of a context": (
        "state.append(contextvars.ContextVar('secret')); state[-1].set(7)",
        "sorted(one.name for one in contextvars.copy_context())",
    ),
    "an end of an object": (
        "state.append(weakref.finalize(thing, len))",
        "len(weakref.finalize._registry)",
    ),
    "a weak reference": ("state.append(weakref.ref(thing))", "weakref.getweakrefcount(thing)"),
    "a virtual class": ("Descends.register(Thing)", "issubclass(Thing, Descends)"),
    "how many virtual classes there were": (
        "collections.abc.Sized.register(Slotted)",
        "abc.get_cache_token()",
    ),
    "a subclass": (
        "state.append(type('Secret', (Slotted,), {}))",
        "[one.__name__ for one in Slotted.__subclasses__()]",
    ),
    "the class of an object": ("thing.__class__ = Other", "type(thing).__name__"),
    "bases of a class": ("Other.__bases__ = (Third,)", "Other.__mro__[1].__name__"),
    "the name of a class": ("Thing.__qualname__ = 'Secret'", "Thing.__qualname__"),
    "a function by type": ("single.register(bytes, len)", "len(single.registry)"),
    "a combination of flags": ("Counted(5)", "sorted(Counted._value2member_map_)"),
    "a keyword's default": ("keyed().append('secret')", "keyed()"),
    "keywords' defaults exchanged": ("keyed.__kwdefaults__ = {'kept': 7}", "keyed()"),
    "a part of a part": ("parts['a'].append('secret')", "parts"),
    "a list in a tuple": ("frozen_list[1].append('secret')", "frozen_list"),
    "numbers of an array": ("records.extend([7] * 9)", "records.tolist()"),
    "a logger": (
        "logging.getLogger('secret.part')",
        "'secret.part' in logging.root.manager.loggerDict",
    ),
    "the class of loggers": (
        "logging.setLoggerClass(type('Secret', (logging.Logger,), {}))",
        "logging.getLoggerClass().__name__",
    ),
    "what makes records": (
        "logging.setLogRecordFactory(lambda *a, **k: logging.LogRecord(*a, **k))",
        "logging.getLogRecordFactory().__name__",
    ),
    "warnings that are logged": (
        "logging.captureWarnings(True)",
        "logging._warnings_showwarning is None",
    ),
    "errors of logging": ("logging.raiseExceptions = False", "logging.raiseExceptions"),
    "the last handler of logging": ("logging.lastResort = None", "logging.lastResort is None"),
    "numbers of a country": (
        "locale._override_localeconv['secret'] = 1",
        "dict(locale._override_localeconv)",
    ),
    "where translations are": (
        "gettext.bindtextdomain('secret', '/x')",
        "dict(gettext._localedirs)",
    ),
    "which translations are used": ("gettext.textdomain('secret')", "gettext.textdomain()"),
    "the time zone": (
        "os.environ['TZ'] = 'ABC5'; time.tzset()",
        "time.tzname, ctypes.c_long.in_dll(libc, 'timezone').value",
    ),
    "a variable that Python does not know": (
        "os.putenv('SECRET', 'x')",
        "libc.getenv(b'SECRET')",
    ),
    "where signals are told": (
        "r, w = os.pipe(); os.set_blocking(w, False); signal.set_wakeup_fd(w)",
        "signal.set_wakeup_fd(-1)",
    ),
    "what watches instructions": (
        "M = sys.monitoring; M.use_tool_id(4, 's'); M.set_events(4, M.events.PY_START)",
        "sys.monitoring._all_events()",
    ),
    "what watches one function": (
        "M = sys.monitoring; M.use_tool_id(4, 's'); "
        "M.set_local_events(4, default.__code__, M.events.LINE)",
        "sys.monitoring.get_tool(4)",
    ),
    "a small number": (
        "ctypes.c_uint32.from_address(id(int('198')) + 24).value = 77",
        "str(int('198'))",
    ),
    "a byte that all share": ("ctypes.memset(id(bytes([241])) + 32, 90, 1)", "bytes([241])"),
    "a letter that all share": ("ctypes.memset(id(chr(247)) + 56, 90, 1)", "ord(chr(247))"),
    "the node of identifiers": ("uuid._node = 7", "uuid._node"),
    "the last time of identifiers": ("uuid._last_timestamp = 7", "uuid._last_timestamp"),
    "what connections tell": (
        "http.client.HTTPConnection.debuglevel = 7",
        "http.client.HTTPConnection.debuglevel",
    ),
    "how hosts are checked": (
        "ssl._create_default_https_context = len",
        "getattr(ssl._create_default_https_context, '__name__', '')",
    ),
    "a context that checks nothing": (
        "CONTEXT.check_hostname = False; CONTEXT.verify_mode = ssl.CERT_NONE",
        "CONTEXT.check_hostname, CONTEXT.verify_mode",
    ),
    "ciphers of a context": (
        "CONTEXT.set_ciphers('ECDHE-RSA-AES128-GCM-SHA256')",
        "len(CONTEXT.get_ciphers())",
    ),
    "options of a context": ("CONTEXT.options |= ssl.OP_NO_TICKET", "int(CONTEXT.options)"),
    "how a database takes objects": (
        "sqlite3.register_adapter(Thing, repr)",
        "len(sqlite3.adapters)",
    ),
    "how a database gives objects": (
        "sqlite3.register_converter('secret', len)",
        "sorted(sqlite3.converters)",
    ),
    "a number of a database": (
        "DATABASE.execute('pragma user_version = 7')",
        "DATABASE.execute('pragma user_version').fetchone()",
    ),
    "a limit of all databases": (
        "DATABASE.execute('pragma soft_heap_limit = 7777777')",
        "DATABASE.execute('pragma soft_heap_limit').fetchone()",
    ),
    "a function of a database": (
        "DATABASE.create_function('secret', 0, lambda: 7)",
        "tried(lambda: DATABASE.execute('select secret()').fetchone())",
    ),
    "an open transaction": (
        "DATABASE.execute('insert into t values (7)')",
        "DATABASE.in_transaction, DATABASE.total_changes",
    ),
    "the last row of a database": (
        "DATABASE.execute('insert into t values (7)'); DATABASE.rollback()",
        "DATABASE.execute('select last_insert_rowid()').fetchone()",
    ),
    "what a function of C returns": (
        "libc.getpgrp.restype = ctypes.c_char_p",
        "getattr(libc.getpgrp.restype, '__name__', '')",
    ),
    "the number of the last error of ctypes": ("ctypes.set_errno(77)", "ctypes.get_errno()"),
    "how libraries are loaded": ("sys.setdlopenflags(0x102)", "sys.getdlopenflags()"),
    "an import replaced": (
        "before = builtins.__import__; builtins.__import__ = lambda *a, **k: before(*a, **k)",
        "builtins.__import__.__name__",
    ),
    "the separator of paths": ("os.sep = '|'", "os.sep"),
    "a path that is none": ("os.PathLike.register(Thing)", "isinstance(thing, os.PathLike)"),
    "how much is read at a time": ("sys.stdout._CHUNK_SIZE = 7", "sys.stdout._CHUNK_SIZE"),
    "when errors are written": (
        "sys.stderr.reconfigure(line_buffering=not sys.stderr.line_buffering)",
        "sys.stderr.line_buffering",
    ),
    "output that is not buffered": (
        "sys.stdout.reconfigure(write_through=True)",
        "sys.stdout.write_through",
    ),
    "standard errors": ("sys.stderr = None", "sys.stderr is None"),
    "the first standard output": ("sys.__stdout__ = None", "sys.__stdout__ is None"),
    "how JSON is written": (
        "json._default_encoder = json.JSONEncoder(indent=7)",
        "json.dumps([1])",
    ),
    "how JSON is read": (
        "json._default_decoder = json.JSONDecoder(parse_int=lambda text: 7)",
        "json.loads('[1]')",
    ),
    "a name of an encoding": (
        "email.charset.add_alias('secret', 'utf-8')",
        "email.charset.ALIASES.get('secret')",
    ),
    "a name of a character": (
        "html.entities.html5['secret;'] = 'x'",
        "__import__('html').unescape('&secret;')",
    ),
    "a name of XML": (
        "trees.register_namespace('sec', 'secret')",
        "trees._namespace_map.get('secret')",
    ),
    "the first day of a week": ("calendar.setfirstweekday(3)", "calendar.firstweekday()"),
    "where time zones are": (
        "zoneinfo.reset_tzpath(['/secret'])",
        "zoneinfo.TZPATH",
    ),
    "a kind of archives": (
        "shutil.register_archive_format('secret', len)",
        "len(shutil.get_archive_formats())",
    ),
    "what a name of a file begins with": ("tempfile.template = 'secret'", "tempfile.template"),
    "the host": ("platform._uname_cache = 7", "platform._uname_cache is None"),
    "how much of an object is shown": ("reprlib.aRepr.maxlist = 1", "reprlib.repr([1, 2, 3])"),
    "a program that runs": ("subprocess._active.append(7)", "subprocess._active"),
    "how processes are started": (
        "multiprocessing.set_start_method('spawn')",
        "multiprocessing.get_start_method(allow_none=True)",
    ),
    "the name of the process": (
        "multiprocessing.current_process().name = 'secret'",
        "multiprocessing.current_process().name",
    ),
    "a key of processes": (
        "multiprocessing.current_process().authkey = b'secret'",
        "bytes(multiprocessing.current_process().authkey) == b'secret'",
    ),
    "how many processes there were": (
        "multiprocessing.Process(target=len)",
        "multiprocessing.Process(target=len).name",
    ),
    "an interpreter in the interpreter": (
        "import _interpreters as found; found.create()",
        "len(__import__('_interpreters').list_all())",
    ),
    "a value for the end of memory": (
        "ctypes.pythonapi.Py_SetRecursionLimit(777)",
        "sys.getrecursionlimit()",
    ),
}
"""State of Python's libraries."""

OF_C = {
    "a seed of another generator": ("libc.srand48(77)", "libc.lrand48()"),
    "what is logged": ("libc.setlogmask(7)", "libc.setlogmask(0)"),
    "the table of all": ("libc.hcreate(10)", "libc.hcreate(10)"),
    "a domain of texts": ("libc.textdomain(b'secret')", "text_of(libc.textdomain(None))"),
    "a broken-down time": (
        "libc.gmtime(ctypes.byref(ctypes.c_long(77_777_777)))",
        "ctypes.string_at(GMT, 36).hex()",
    ),
    "an address as text": (
        "libc.inet_ntoa(ctypes.c_uint(0x07070707))",
        "text_of(ADDRESS)",
    ),
    "an error of the loader": (
        "libc.dlopen(b'/secret', 1)",
        "text_of(libc.dlerror())",
    ),
    "what memory is filled with": (
        "libc.mallopt(-6, 7)",
        "ctypes.string_at(libc.malloc(70_000) + 64, 3) == b'\\xf8' * 3",
    ),
    "the environment cleared": ("libc.clearenv()", "libc.getenv(b'HOME')"),
    "where the environment is": (
        "state.append((ctypes.c_char_p * 2)(b'HOME=secret', None)); "
        "ctypes.c_void_p.in_dll(libc, 'environ').value = ctypes.addressof(state[-1])",
        "libc.getenv(b'HOME')",
    ),
    "the name of the program": (
        "state.append(ctypes.create_string_buffer(b'secret')); "
        "ctypes.c_void_p.in_dll(libc, 'program_invocation_name').value = "
        "ctypes.addressof(state[-1])",
        "text_of(ctypes.c_void_p.in_dll(libc, 'program_invocation_name').value)",
    ),
    "how options are told of": (
        "ctypes.c_int.in_dll(libc, 'opterr').value = 77",
        "ctypes.c_int.in_dll(libc, 'opterr').value",
    ),
    "an error of names": (
        "ctypes.c_int.from_address(libc.__h_errno_location()).value = 77",
        "ctypes.c_int.from_address(libc.__h_errno_location()).value",
    ),
    "how names are looked for": (
        "ctypes.memset(libc.__res_state(), 7, 4)",
        "ctypes.string_at(libc.__res_state(), 4)",
    ),
    "the locale of a thread": (
        "libc.uselocale(libc.newlocale(0x1FBF, b'C', None))",
        "libc.uselocale(None) == (1 << 64) - 1",
    ),
    "a key of threads": (
        "libc.pthread_key_create(SCRATCH, None)",
        "libc.pthread_key_create(SCRATCH, None), SCRATCH.raw[:4].hex()",
    ),
    "how a thread is cancelled": (
        "libc.pthread_setcancelstate(1, SCRATCH)",
        "libc.pthread_setcancelstate(0, SCRATCH), SCRATCH.raw[0]",
    ),
    "how many threads are wished for": (
        "libc.pthread_setconcurrency(7)",
        "libc.pthread_getconcurrency()",
    ),
    "the end of input": ("libc.fgetc(STDIN)", "libc.feof(STDIN)"),
    "wide output": (
        "libc.fwide(ctypes.c_void_p.in_dll(libc, 'stdout').value, 1)",
        "libc.fwide(ctypes.c_void_p.in_dll(libc, 'stdout').value, 0)",
    ),
    "a part of a letter": (
        "libc.mbrtowc(None, b'\\xe2\\x82', 2, None)",
        "libc.mbrtowc(SCRATCH, b'\\xac', 1, None)",
    ),
    "the sign of a function": ("libm.lgamma(-0.5)", "SIGNGAM.value"),
    "exceptions of numbers": ("libm.feraiseexcept(29)", "libm.fetestexcept(29)"),
    "a library": ("ctypes.CDLL('libresolv.so.2')", "loaded(b'libresolv.so.2')"),
    "a library for all": (
        "ctypes.CDLL('libutil.so.1', mode=ctypes.RTLD_GLOBAL)",
        "loaded(b'libutil.so.1')",
    ),
    "an extension of the interpreter": (
        "import _lsprof",
        "'_lsprof' in sys.modules",
    ),
    "the stack below": (
        "ctypes.memset(STACK - 60_000, 83, 64)",
        "ctypes.string_at(STACK - 60_000, 8)",
    ),
    "where the x87 was": (
        "machine(bytes.fromhex('d9ebddd8c3'))",
        "machine(READS_X87) & 0xFFF",
    ),
    "how exact the x87 is": (
        "machine(bytes.fromhex('4883ec0866c704247f00d92c244883c408c3'))",
        "control(0)",
    ),
    # The seventh: functions of the C library use the first ones where the processor has them.
    "masks of vectors": (
        "machine(bytes.fromhex('c5c446ffc3')) if 'avx512f' in FLAGS else state.append(1)",
        "machine(bytes.fromhex('c5f893c7c3')) if 'avx512f' in FLAGS else len(state)",
    ),
}
"""State of the C library, of the loader, and of the processor."""

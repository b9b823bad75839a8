"""What well-known programs do with arguments: run another, run code, take an option's value."""

from __future__ import annotations

import re
from collections.abc import Mapping

SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "rbash", "mksh"))

WRAPPERS: Mapping[str, tuple[int, frozenset[str]]] = {
    # Program: operands before the program that it runs, options that take an argument.
    "env": (0, frozenset(("-u", "--unset", "-C", "--chdir"))),
    "nohup": (0, frozenset()),
    "setsid": (0, frozenset()),
    "nice": (0, frozenset(("-n", "--adjustment"))),
    "ionice": (0, frozenset(("-c", "-n", "--class", "--classdata"))),
    "time": (0, frozenset(("-f", "-o", "--format", "--output"))),
    "timeout": (1, frozenset(("-k", "-s", "--kill-after", "--signal"))),
    "stdbuf": (0, frozenset(("-i", "-o", "-e"))),
    "sudo": (0, frozenset(("-u", "-g", "-h", "-p", "-C", "--user", "--group"))),
    "doas": (0, frozenset(("-u", "-C"))),
    "xargs": (0, frozenset(("-I", "-n", "-P", "-L", "-d", "-a", "-s", "-E"))),
    "chroot": (1, frozenset()),
    "unshare": (0, frozenset()),
    "nsenter": (0, frozenset(("-t",))),
    "taskset": (1, frozenset()),
    "chrt": (1, frozenset()),
    "strace": (0, frozenset(("-o", "-e", "-p", "-s"))),
    "exec": (0, frozenset(("-a",))),
    "command": (0, frozenset()),
    "builtin": (0, frozenset()),
    "busybox": (0, frozenset()),
    "catchsegv": (0, frozenset()),
    "unbuffer": (0, frozenset()),
    "fakeroot": (0, frozenset()),
}
"""Programs that run the program that their arguments name."""

LAST_OPTIONS: Mapping[str, tuple[str, ...]] = {"python": ("-c",), "pypy": ("-c",)}
"""Options after whose value, which is code, all else is only handed to that."""
CODE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "python": ("-c",),
    "pypy": ("-c",),
    "perl": ("-e", "-E", "-n", "-ne", "-pe", "-pi", "-le", "-lne"),
    "ruby": ("-e", "-ne", "-pe"),
    "node": ("-e", "--eval", "-p", "--print", "-pe"),
    "nodejs": ("-e", "--eval", "-p", "--print"),
    "deno": ("eval",),
    "bun": ("-e",),
    "php": ("-r", "-B", "-R", "-E"),
    "lua": ("-e",),
    "Rscript": ("-e",),
    "R": ("-e",),
    "osascript": ("-e",),
    "pwsh": ("-c", "-Command", "-command", "-EncodedCommand"),
    "sed": ("-e", "--expression"),
    "awk": ("-e", "--source"),
    "gawk": ("-e", "--source"),
    "gdb": ("-ex", "-eval-command"),
    "vim": ("-c", "+"),
    "ex": ("-c",),
    "expect": ("-c",),
    "julia": ("-e",),
    "groovy": ("-e",),
    "scala": ("-e",),
    "jshell": ("-e",),
    "ffmpeg": ("-filter_complex",),
    "octave": ("--eval",),
    "mongo": ("--eval",),
    "mongosh": ("--eval",),
}
"""Options whose argument is a program in another language."""

MODULE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "python": ("-m",),
    "perl": ("-M", "-I"),
    "ruby": ("-r",),
    "node": ("-r", "--require", "--import"),
    "git": ("-c", "--exec-path", "--upload-pack", "--receive-pack", "-u"),
    "ssh": ("-o", "-F"),
    "scp": ("-o", "-S", "-F"),
    "sftp": ("-o", "-S", "-F"),
    "rsync": ("-e", "--rsh", "--rsync-path"),
    "tar": ("--checkpoint-action", "-I", "--use-compress-program", "--to-command"),
    "curl": ("-K", "--config"),
    "wget": ("--use-askpass", "--config"),
}
"""Options whose argument has the program load or run something."""

SQL_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "psql": ("-c", "--command"),
    "mysql": ("-e", "--execute"),
    "mariadb": ("-e", "--execute"),
    "sqlite3": ("-cmd",),
}

CODE_FILES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("sed", "awk", "gawk", "mawk", "nawk"), ("-f", "--file")),
    "jq": ("-f", "--from-file"),
    "yq": ("-f", "--from-file"),
}
"""Options whose value is the file of a program in the language of each."""

CODE_OPERAND = frozenset(("awk", "gawk", "mawk", "nawk", "sed", "jq", "yq", "expr", "bc"))
"""Their first operand is a program, unless an option gave one."""

REMOTE = frozenset(("ssh", "mosh"))
"""All operands after the first make one command line of a shell elsewhere."""

COMMAND_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "su": ("-c", "--command"),
    "runuser": ("-c", "--command"),
    "script": ("-c", "--command"),
    "flock": ("-c", "--command"),
    "watch": (),
    "parallel": (),
    "tmux": (),
    "screen": ("-X",),
    "at": (),
}
"""Options whose argument is a shell's command line; with none, all operands are."""

EXECUTES = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
"""Of find: what follows is a command."""

PLAIN_OUTPUT = frozenset(("echo", "printf", "expr", "test", "[", "true", "false", ":", "logger"))
"""Take no option that does harm."""

PLAIN_LETTERS: Mapping[str, str] = {"wc": "clmwL", "uniq": "cdiuz", "sort": "bdfghinruV"}
"""Letters of options that choose no more than how a program's output looks."""

_GREP = ("-e", "--regexp", "-m", "--max-count", "-A", "--after-context", "-B", "--before-context",
         "-C", "--context")  # fmt: skip
TAKES_VALUE: Mapping[str, tuple[str, ...]] = {
    "grep": _GREP,
    "egrep": _GREP,
    "fgrep": _GREP,
    "zgrep": _GREP,
    "rg": (*_GREP, "-g", "--glob", "-t", "--type", "-T", "-r", "--replace", "-M", "-j", "--sort"),
    "git": ("-m", "--message", "-C", "--author", "--grep", "-S", "-G", "--branch"),
    "git grep": ("-e",),
    "curl": ("-d", "--data", "--data-raw", "--data-urlencode", "--data-binary", "-H", "--header",
             "-A", "--user-agent", "-u", "--user", "-F", "--form", "-X", "--request", "-e", "-b"),
    "wget": ("--header", "-U", "--post-data"),
    "find": ("-name", "-iname", "-path", "-ipath", "-regex", "-type", "-newer", "-size", "-mtime",
             "-user", "-group", "-perm", "-wholename"),
    "sort": ("-t", "-k"),
    "cut": ("-d", "-f"),
    "head": ("-n", "-c"),
    "tail": ("-n", "-c"),
    "docker": ("-e", "--env", "-l", "--label", "--name"),
    "ffmpeg": ("-metadata", "-vf", "-t", "-ss"),
    "mail": ("-s",),
    "mutt": ("-s",),
    "openssl": ("-subj", "-pass"),
    "awk": ("-v", "-F"),
    "gawk": ("-v", "-F"),
    "date": ("-d", "--date"),
    "notify-send": ("-a",),
}  # fmt: skip
"""Options whose argument may begin with a dash and is text all the same."""

BEFORE_SUBCOMMAND = frozenset(("-C", "-c", "--git-dir", "--work-tree", "--namespace"))
"""Options of git as a whole that take what comes after them."""

TAKES_NAME_AND_VALUE: Mapping[str, tuple[str, ...]] = {
    "jq": ("--arg", "--argjson", "--slurpfile", "--rawfile"),
}
"""Options that take two arguments, a name and a value that is text."""

SPECIAL_VALUES: Mapping[str, re.Pattern[str]] = {
    "git": re.compile(r"ext::|fd::"),
    "curl": re.compile(r"(?:file|gopher|dict|smb|scp|ldap|tftp):|@", re.IGNORECASE),
    "convert": re.compile(r"\||(?:msl|mvg|ephemeral|text|label|caption|url|vid):", re.IGNORECASE),
    "magick": re.compile(r"\||(?:msl|mvg|ephemeral|text|label|caption|url|vid):", re.IGNORECASE),
    "identify": re.compile(r"\||(?:msl|mvg|ephemeral|text|url):", re.IGNORECASE),
    "mogrify": re.compile(r"\||(?:msl|mvg|ephemeral|text|url):", re.IGNORECASE),
    "ffmpeg": re.compile(r"(?:concat|file|subfile|data|crypto|gopher|tcp):", re.IGNORECASE),
    "dd": re.compile(r"(?:if|of)="),
    "socat": re.compile(r"(?:exec|system|shell|open|file)", re.IGNORECASE),
    "psql": re.compile(r"\\"),
}
"""How a whole argument begins that makes a program do something else with it."""

_FORM_PARTS = re.compile(r";\s*(?:type|filename|headers|encoder)=", re.IGNORECASE)
DIVIDED_VALUES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "curl": {"-F": _FORM_PARTS, "--form": _FORM_PARTS},
    "openssl": {"-subj": re.compile(r"[/+][\w.]+=")},
    "mount": {"-o": re.compile(r",")},
    "docker": {
        "-v": re.compile(r":"), "--volume": re.compile(r":"), "--mount": re.compile(r","),
    },
    "podman": {"-v": re.compile(r":"), "--volume": re.compile(r":")},
}  # fmt: skip
"""Options whose argument has parts, and what in data begins another one."""

_FORM = re.compile(r"[^=]*=[@<]")
BEGUN_VALUES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "curl": {"-F": _FORM, "--form": _FORM},
}
"""Options whose argument has a part that is read from a file if it begins so."""

AWKS = frozenset(("awk", "gawk", "mawk", "nawk"))

MAKES = frozenset(("make", "gmake", "bmake", "remake"))
"""Take variables as arguments, which they expand and put into commands of a shell."""

OF_FILES = frozenset(
    [
        *("7z", "7za", "antiword", "ar", "b2sum", "base64", "bunzip2", "bzcat", "bzip2", "cat"),
        *("catdoc", "chgrp", "chmod", "chown", "cksum", "cmp", "column", "comm", "cp", "csplit"),
        *("cut", "diff", "dos2unix", "du", "exiftool", "expand", "file", "fmt", "fold"),
        *("gunzip", "gzip"),
        *("head", "hexdump", "iconv", "install", "join", "less", "ln", "ls", "lz4", "md5sum"),
        *("mkdir", "more", "mv", "nl", "od", "pandoc", "paste", "pdfinfo", "pdftotext", "pr"),
        *("rar", "readlink", "unix2dos", "xmllint"),
        *("realpath", "rev", "rm", "rmdir", "rsync", "sha1sum", "sha224sum", "sha256sum"),
        *("sha384sum", "sha512sum", "shred", "shuf", "sort", "split", "stat", "strings", "sum"),
        *("tac", "tail", "tar", "bsdtar", "tee", "touch", "truncate", "uniq", "unlink", "unrar"),
        *("unxz", "unzip", "unzstd", "wc", "xxd", "xz", "xzcat", "zcat", "zip", "zstd"),
    ]
)
"""Programs whose operands are names of files, and nothing else that has `..` as a part."""

_EXPRESSIONS = frozenset(("-e", "--regexp", "-f", "--file"))
_SCRIPTS = frozenset(("-e", "--expression", "-f", "--file", "--source"))
FILES_AFTER_FIRST: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("grep", "egrep", "fgrep", "zgrep", "rg"), _EXPRESSIONS),
    **dict.fromkeys(("sed", "awk", "gawk", "mawk", "nawk"), _SCRIPTS),
    "jq": frozenset(("-f", "--from-file")),
}
"""Programs whose operands are names of files but the first, unless one of these options is given
in its place."""

BEFORE_FOLDERS = frozenset(("-H", "-L", "-P", "--"))
"""Options of find that come before the folders that it goes through."""

MAILERS = frozenset(("sendmail", "msmtp", "ssmtp", "exim", "exim4", "esmtp"))
"""They read a mail, with its head."""

DANGEROUS_ENVIRONMENT = re.compile(
    r"LD_\w+|DYLD_\w+|GLIBC_TUNABLES|MALLOC_\w+|GCONV_PATH|NLSPATH|LOCPATH|HOSTALIASES|RES_OPTIONS|"
    r"PATH|CDPATH|FPATH|IFS|ENV|BASH_ENV|BASH_FUNC.*|ZDOTDIR|SHELLOPTS|BASHOPTS|PS[0-4]|"
    r"PROMPT_COMMAND|HOME|XDG_CONFIG\w*|INPUTRC|TERMINFO\w*|"
    r"PYTHON\w*|PERL\w*|RUBY\w*|GEM_\w+|BUNDLE_\w+|NODE_\w+|NPM_CONFIG_\w+|npm_config_\w+|"
    r"DENO_\w+|BUN_\w+|PHP\w*|LUA_\w+|R_\w+|JULIA_\w+|TCLLIBPATH|PSModulePath|"
    r"_?JAVA_\w*OPTIONS|JDK_JAVA_OPTIONS|JAVA_OPTS|JAVA_HOME|MAVEN_\w+|GRADLE_\w+|CLASSPATH|"
    r"DOTNET_\w+|COR_\w+|CORECLR_\w+|ELECTRON_\w+|GO\w*FLAGS|CGO_\w+|CARGO\w*|RUSTC\w*|"
    r"CC|CXX|CPP|LD|MAKEFLAGS|PIP_\w+|UV_\w+|"
    r"GIT_\w+|SSH_\w+|RSYNC_RSH|CVS_RSH|SVN_SSH|SUDO_ASKPASS|"
    r"EDITOR|VISUAL|PAGER|LESSOPEN|LESSCLOSE|LESS|MANPAGER|BROWSER|VIMINIT|EXINIT|"
    r"OPENSSL_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|CURL_HOME|WGETRC|"
    r"(?:https?|ftp|all|no)_proxy|(?:HTTPS?|FTP|ALL|NO)_PROXY|"
    r"DOCKER_\w+|KUBECONFIG|AWS_\w+|GOOGLE_APPLICATION_CREDENTIALS|PG\w+|MYSQL_\w+"
)
"""Variables that have programs load or run something."""


def base_name(program: str) -> str:
    """Return a program's name without folder and version: `/usr/bin/python3.11` is `python`."""
    name = program.rpartition("/")[2]
    return re.sub(r"^(python|pypy)[\d.]+$", r"\1", name)

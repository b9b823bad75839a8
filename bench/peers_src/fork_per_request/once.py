"""One request in one interpreter: the event on standard input, the answer on standard output.

Run with `-I -S`, so the packages' folder is given as the only argument.
"""

import json
import sys

sys.path[:0] = ["/code", *sys.argv[1:]]

from handler import handle  # noqa: E402

sys.stdout.write(json.dumps(handle(json.load(sys.stdin))))

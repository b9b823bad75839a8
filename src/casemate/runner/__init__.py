"""What runs inside the sandbox: the base zygote, function zygotes and instances.

Standard library only, copied into the sandbox as it is, run by whichever interpreter a function
asks for. Shares nothing with the rest of the platform but the wire format (`wire.py`), and the
system-call filter (`seccomp.py`), which the gateway puts on itself too. Imports nothing of ours
from outside this package.
"""

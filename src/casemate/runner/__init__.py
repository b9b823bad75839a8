"""What runs inside the sandbox: the base zygote, function zygotes and instances.

Standard library only, seen by the sandbox as it is, run by whichever interpreter a function
asks for. Shares nothing with the rest of the platform but the wire format (`wire.py`), and the
system-call filter (`seccomp.py`), which the gateway puts on itself too. May import `guard`, by
relative imports, and nothing else of ours: the sandbox has no more of the package `casemate`.
"""

"""Restores an instance, after a call, to what it was when it was ready for its first one.

From outside: the process is stopped, compared with its snapshot, its memory and registers are set
back, and only then it goes on. Whatever differs, or cannot be compared, is discarded for a reason.

    reasons.py   why an instance is not used again
    home.py      where an instance stands when it is set back
    tracee.py    stops a process, follows what it does and what it starts
    threads.py   those that a call has started, which end with it
    snapshot.py  what an instance was when it was ready, and its untouched copy
    restoring.py compares with the snapshot and sets back

    protocol.py  what the supervisor and the gateway ask, and are told
    asking.py    the gateway's end
    server.py    the loop of the process; process.py confines it, start.py starts it

No decision about which functions are restored, no sandbox, and nothing of a function's is parsed:
bytes are copied, structures of the kernel's are compared. May import `kernel`, and nothing else of
ours but `child` and `model`.
"""

"""The platform's use of the Linux kernel: system calls, their filters, Landlock, control groups.

    machines.py      the numbers of calls on each machine (numbers_*.py, written by generate.py)
    linux.py         the calls that Python does not offer
    system_calls.py  which calls functions may make, by name
    seccomp.py       the filters of functions and of the node's own processes
    notifications.py what a filter tells of calls that it lets wait
    flagging.py      the filter of instances that are restored; restorer_filter.py of who does it
    landlock.py      the ruleset of an instance
    cgroups.py       limits on memory, CPU and processes
    userfault.py     has the pages noted that a process writes; pagemap.py finds them
    tracing.py       stops other processes, reads and sets their registers
    remote_memory.py reads and writes their memory, compares their files
    process_files.py what /proc tells of them
    file_states.py   whether many files are as they were
    durability.py    has files whole and on disk; placing.py puts them in their places at once
    drafts.py        what is made beside its place, and what killed programs left of that

No decision about who is confined and when (`runner`, `sandbox`, `child`). Standard library only,
since it runs inside the sandbox too; imports nothing of ours from outside this package.
"""

"""Becomes PostgreSQL: drops root's rights, ties its life to the supervisor's, then executes the program given.

Run as a script by `timebank.postgres`, never imported:
`python postgres_child.py USER_ID GROUP_ID PARENT_PROCESS_ID SIGNAL PROGRAM ARGUMENT…`.
A separate process does this because code between fork and exec in a process with threads can hang for ever.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def become() -> None:
    """Never returns."""
    user_id, group_id, parent_id, signal_number = map(int, sys.argv[1:5])
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != user_id:
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    os.umask(0o077)
    # After setuid, which clears it, and before exec, which keeps it.
    if sys.platform == "linux" and libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # A parent that died before prctl sends no signal any more.
    if os.getppid() != parent_id:
        sys.exit("the supervisor is gone")
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606


if __name__ == "__main__":
    become()

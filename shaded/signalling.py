"""What each signal means here: which end a program, and which are nobody's business.

It is loaded with the first module of all, so it needs nothing that takes long.
"""

from __future__ import annotations

import signal

#: Those that ask for the end, besides SIGHUP.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGXCPU)
#: Those that a command hears and its workers ignore: a worker is started with them held back.
HELD = (signal.SIGINT, signal.SIGALRM)
#: Those that keep what the system does with them: faults of the program itself, a terminal's stopping and going on, and
#: those that end nothing.
_SYSTEM = frozenset(
    getattr(signal, f"SIG{name}")
    for name in (
        "ABRT", "BUS", "FPE", "ILL", "SEGV", "SYS", "TRAP", "KILL", "STOP", "TSTP", "TTIN", "TTOU", "CONT", "CHLD",
        "PIPE", "XFSZ", "URG", "WINCH", "INFO", "HUP",
    )
    if hasattr(signal, f"SIG{name}")
)  # fmt: skip


def ignore_strays() -> None:
    """Ignore what nobody should send, and what would end the process without a word: SIGUSR1, timers, SIGIO and such.

    One that somebody listens to is left to them. Programs that are started from here ignore them as well.
    """
    for number in signal.valid_signals() - _SYSTEM - frozenset(ENDING):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)

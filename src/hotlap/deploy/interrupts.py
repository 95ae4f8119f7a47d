"""KeyboardInterrupts that arrive: one alone may be swallowed, by a hook at a fork or by a bare ``except:``."""

from __future__ import annotations

import signal

_AGAIN_S = 1.0
_SOON_S = 1e-3


def interrupt_in(seconds: float) -> None:
    """Interrupt the main thread after so long, and every second from then on until `end_interrupts`."""
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)


def interrupt_on_sigterm() -> None:
    """Let SIGTERM interrupt the main thread; the first process of a container is not ended by it otherwise."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: interrupt_in(_SOON_S))


def end_interrupts() -> None:
    """No interrupt any more, nor an effect of SIGTERM: what comes now is to be finished."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)

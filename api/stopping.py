"""SIGTERM to a command, before anything serves: it comes to what Ctrl-C comes to."""

import signal
import threading

# Set once this process was asked to stop. Not everything that runs then need hear of it: what is raised while an object
# is being put away, Python drops.
asked_to_stop = threading.Event()


def stop_when_asked() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, with everything put away, until somebody else takes over.

    That is KeyboardInterrupt, and within asyncio the cancelling of what runs there. An exception that the handler
    itself raised in the midst of that, wherever a greenlet of SQLAlchemy happens to be, could end it by a fault.
    """
    # A shell that starts it in the background may have let it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(*_: object) -> None:
        # Once is enough: whoever asks again must not interrupt the putting away.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        asked_to_stop.set()
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)

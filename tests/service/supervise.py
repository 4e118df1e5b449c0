"""Supervise the embedded PostgreSQL of one directory: `timebank run` without anything that serves.

`python -m tests.service.supervise DATA OPTIONS`; OPTIONS is JSON with arguments of `EmbeddedPostgres`. Says one line
of JSON for each step, and ends in good order on SIGTERM, on SIGINT, or when its standard input ends.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from timebank.postgres import EmbeddedPostgres
from timebank.refusal import Refusal


def say(**facts: object) -> None:
    """One line, at once."""
    print(json.dumps(facts), flush=True)


def watch_input(end: threading.Event) -> None:
    """Set `end` when the standard input ends."""
    while os.read(0, 1024):
        pass
    end.set()


def main() -> int:
    """The exit status: 1 when PostgreSQL was refused."""
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    postgres = EmbeddedPostgres(Path(sys.argv[1]), **json.loads(sys.argv[2]), on_failure=lambda: say(given_up=True))
    steps: list[str] = []
    try:
        server = postgres.start(steps.append)
    except Refusal as refusal:
        say(refused=refusal.code, sentence=refusal.sentence, data=refusal.data, steps=steps)
        return 1
    say(
        ready=True,
        steps=steps,
        process_id=os.getpid(),
        postmaster=postgres.process_id,
        socket_directory=str(server.socket_directory),
        programs=str(server.programs),
        owner_url=server.owner_url,
        service_url=server.service_url,
        superuser_url=server.superuser_url,
    )
    threading.Thread(target=watch_input, args=(end,), daemon=True).start()
    end.wait()
    postgres.stop()
    say(stopped=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

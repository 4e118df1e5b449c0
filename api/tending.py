"""What every serving process looks after besides requests: keys that were rotated, and the copy of the night."""

import asyncio
import contextlib
import subprocess
import sys
from datetime import datetime, timedelta

import structlog

from timebank import backups
from timebank.clock import Clock, system_clock
from timebank.imports import uploads, waiting
from timebank.keys import ServedKeys
from timebank.settings import Settings

TURN_SECONDS = 5.0
STOP_SECONDS = 10.0
# A copy that failed, for want of room on the disk perhaps, is tried again after this.
AGAIN = timedelta(hours=1)
COMMAND = (sys.executable, "-m", "api.cli", "backup", "--nightly")
IMPORT = (sys.executable, "-m", "api.cli", "import-uploads")
# An import that failed, for want of its database perhaps, is gone on with after this.
IMPORT_AGAIN = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Tending:
    """Looks every few seconds, until stopped. Several processes may: the copy is made by whichever is first."""

    def __init__(self, settings: Settings, keys: ServedKeys, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.keys = keys
        self.clock = clock
        self.started_at = self.not_before = clock()
        self.copying: subprocess.Popen[bytes] | None = None
        self.importing: subprocess.Popen[bytes] | None = None
        self.import_not_before = self.started_at
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self.task = asyncio.create_task(self.turns())

    async def stop(self) -> None:
        """End, and with it a copy under way; what one leaves that had to be killed, the next one removes."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        # An import that is ended in the middle is gone on with at the next start.
        for process in (self.copying, self.importing):
            if process is not None:
                process.terminate()
                try:
                    await asyncio.to_thread(process.wait, STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    async def turns(self) -> None:
        """One turn after another."""
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                self.turn(self.clock())
            except OSError as error:
                log.error("tending_failed", exc_info=error)

    def turn(self, now: datetime) -> None:
        """Look once."""
        if self.keys.renew():
            log.info("keys_renewed", newest=max(self.keys.masters))
        if now >= self.import_not_before and waiting.wanted(uploads.directory(self.settings.data)) is not None:
            self.import_now()
        if self.copying is not None:
            status = self.copying.poll()
            if status is None:
                return
            self.copying = None
            if status:
                log.error("nightly_copy_failed", status=status)
                self.not_before = now + AGAIN
        if self.is_due(now):
            # A process of its own: proving and copying a large book takes long.
            self.copying = subprocess.Popen(  # noqa: S603  our own command
                COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

    def import_now(self) -> None:
        """Have what waits in the office imported: by a process of its own, for it takes long and thinks hard. Where one
        is at it already, in this machine's other processes too, it does all that waits."""
        if self.importing is not None:
            status = self.importing.poll()
            if status is None:
                return
            self.importing = None
            if status:
                log.error("import_failed", status=status)
                self.import_not_before = self.clock() + IMPORT_AGAIN
                return
        self.importing = subprocess.Popen(  # noqa: S603  our own command
            IMPORT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def is_due(self, now: datetime) -> bool:
        """Whether the copy of the night is to be made, and can be."""
        settings = self.settings
        if settings.demo or settings.backup_at is None or settings.migration_url is None or now < self.not_before:
            return False
        copied = [backups.made_at(file) for file in backups.kept(settings.data) if "-nightly" in file.name]
        last = copied[-1] if copied else None
        return backups.is_due(last, settings.backup_at, settings.time_zone, self.started_at, now)

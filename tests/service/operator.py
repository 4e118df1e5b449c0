"""Commands as an operator types them: the real command line, on real directories."""

import os
import signal
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from api.cli import main
from tests.service.processes import (
    environment,
    timebank,
)


def typed(*arguments: object, data: Path, **more: Any) -> str:
    """Run a command that has to succeed, as a process of its own; answers what it said."""
    result = timebank(*arguments, data=data, **more)
    assert result.returncode == 0, result.stdout
    return result.stdout


def run(*arguments: object, data: Path, text: str | None = None, **settings: object) -> Result:
    """Run a command in this process, through the same door: it need not be read in again each time."""
    chosen = {name: None for name in os.environ if name.startswith("TIMEBANK_")}
    chosen |= {name: value for name, value in environment(data, **settings).items() if name.startswith("TIMEBANK_")}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(main, list(map(str, arguments)), input=text, env={**chosen, "COLUMNS": "200"})
    finally:
        signal.signal(signal.SIGTERM, handler)


def done(*arguments: object, **more: Any) -> str:
    """Run a command that has to succeed; answers what it said."""
    result = run(*arguments, **more)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(code: str, *arguments: object, status: int = 1, **more: Any) -> str:
    """Run a command that has to be refused with `code`, in words and without a traceback; answers what it said."""
    result = run(*arguments, **more)
    assert result.exit_code == status, (result.output, result.exception)
    assert code in result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output

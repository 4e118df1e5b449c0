"""`timebank run` from its first moment to its last: however it is ended, and whatever of it dies, nothing is lost."""

import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service.processes import (
    SELF,
    Operator,
    Service,
    command_line,
    environment,
    free_port,
    is_gone,
    is_ready,
    log_of,
    owner_of,
    wait_until,
)
from timebank import certificates

RECOVERY = "automatic recovery"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child whose parent has died")


def test_a_first_start_on_an_empty_directory_serves(place: Path, operator: Operator) -> None:
    with Service.start(place / "data", operator=operator) as service:
        service.hear(f"Time bank ready at {service.address}")
        assert "Creating the database" in service.words
        assert "Migrating: ledger_" in service.words
        assert owner_of(service.postmaster) != 0
        assert httpx.get(service.address, follow_redirects=True).status_code == 200
        assert service.send(signal.SIGTERM) == 0
        assert service.words.endswith("Stopped.\n")
    assert not (place / "data" / "postgres" / "cluster" / "postmaster.pid").exists()
    assert RECOVERY not in log_of(place / "data")


def test_on_a_local_network_it_serves_https_with_a_certificate_of_its_own(own_data: Path) -> None:
    service = Service.begin(own_data, "--lan")
    try:
        service.hear("/trust")
        trusting = ssl.create_default_context(cafile=str(certificates.authority_of(own_data).certificate))
        with httpx.Client(base_url=f"https://localhost:{service.port}", verify=trusting) as phone:
            page = phone.get("/sign-in")
            assert page.status_code == 200
            assert page.headers["set-cookie"].startswith("__Host-timebank-browser=")
            assert "; Secure" in page.headers["set-cookie"]
            assert phone.get("/trust").status_code == 200
        assert f"ready at https://{certificates.names_of_machine()[0]}:" in service.words.replace("[", "").replace(
            "]", ""
        )
    finally:
        service.end()


@ON_LINUX
def test_however_it_is_ended_the_next_start_finds_everything_in_order(own_data: Path) -> None:
    port = free_port()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        with Service.start(own_data, port=port) as service:
            everybody = [*service.workers, service.postmaster]
            assert len(everybody) == 2
            assert service.send(number) == (-number if number == signal.SIGKILL else 0)
            wait_until(lambda some=everybody: all(map(is_gone, some)), "everybody ends with the service")
    with Service.start(own_data, port=port):
        assert RECOVERY not in log_of(own_data)


@pytest.mark.parametrize("moment", ["the cluster is being made", "PostgreSQL runs"])
def test_a_start_that_is_interrupted_puts_everything_away(place: Path, moment: str) -> None:
    data = place / "data"
    service = Service.begin(data)
    if moment == "PostgreSQL runs":
        # The schema is being migrated, or is about to be.
        wait_until(lambda: is_ready(data), moment)
    else:
        wait_until(lambda: list(data.glob("postgres/cluster-new-*/cluster/base/1/*")), moment)
    assert service.send(signal.SIGTERM) == 0
    assert service.words.endswith("Stopped.\n")
    assert "ready at" not in service.words
    assert not (data / "postgres" / "cluster" / "postmaster.pid").exists()
    with Service.start(data):
        assert RECOVERY not in log_of(data)
        assert not list(data.glob("postgres/cluster-new-*"))


def test_a_worker_that_crashes_is_replaced(own_data: Path) -> None:
    with Service.start(own_data, workers=2) as service:
        first = service.workers
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(set(service.workers) - set(first)) == 1, "another worker")
        wait_until(service.is_ready, "the service is ready")
        # The other one went on.
        assert first[1] in service.workers
        assert service.send(signal.SIGTERM) == 0


def test_a_postgresql_that_is_given_up_ends_the_service_with_the_reason(own_data: Path) -> None:
    with Service.start(own_data) as service:
        log = own_data / "postgres" / "server.log"
        log.rename(log.with_suffix(".moved"))
        log.mkdir()
        os.kill(service.postmaster, signal.SIGKILL)
        # A status that tells whoever supervises the service to start it anew.
        wait_until(lambda: service.process.poll() is not None, "the service ends")
        assert service.process.returncode == 1
        assert "PostgreSQL was given up: [Errno 21] Is a directory" in service.words
        assert "(postgresql_given_up)" in service.words
        assert "Traceback" not in service.words
        log.rmdir()
    with Service.start(own_data):
        assert RECOVERY in log_of(own_data)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a process 1")
def test_it_may_be_process_1_as_in_a_container(own_data: Path) -> None:
    port, log = free_port(), own_data.with_name("container.log")
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", *SELF.command("api.cli", "run")],
            env=environment(own_data, port=port),
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(own_data, port, process, log)
    try:
        service.wait_ready()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (first,) = map(int, children)
        assert re.search(r"^NSpid:\s+\d+\s+1$", Path(f"/proc/{first}/status").read_text(), re.MULTILINE)
        assert "api.cli run" in command_line(first)
        os.kill(first, signal.SIGTERM)
        process.wait(60)
        assert service.words.endswith("Stopped.\n")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert RECOVERY not in log_of(own_data)

"""Kiosks that listen: what they hold open ends with the service, at once."""

import signal
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from tests.api.tablets import claims, public_text, signed
from tests.service.callers import DEMO, Caller, new_id
from tests.service.processes import Service

EVENTS = "/api/v1/kiosk/events"
# Far below the patience that a worker has with what it took.
AT_ONCE_SECONDS = 15.0


def test_a_kiosk_that_listens_keeps_no_service_from_stopping(demo_data: Path) -> None:
    key = generate_private_key(SECP256R1())
    with Service.start(demo_data) as service:
        with Caller(service.address, *DEMO["manager"]) as manager:
            body = {"id": new_id(), "name": "平板", "public_key": public_text(key)}
            number = manager.send("/stations/1/kiosks", body).json()["number"]
        token = signed(key, number, claims(service.address, "GET", EVENTS, b"", datetime.now(UTC)))
        bearer = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", service.address + EVENTS, headers=bearer, timeout=AT_ONCE_SECONDS) as line:
            heard = line.iter_lines()
            assert next(heard) == ": open"
            service.process.send_signal(signal.SIGTERM)
            # To its proper end: a line that is cut raises.
            list(heard)
        assert service.process.wait(AT_ONCE_SECONDS) == 0
        assert service.words.endswith("Stopped.\n")

"""People who use a running service over real HTTP."""

from datetime import UTC, datetime
from typing import Any

import httpx

from timebank.demo import SIGN_INS
from timebank.ids import uuid7

# By role: the phone and the password of somebody in the demo city.
DEMO = {sign_in.role: (sign_in.phone, sign_in.password) for sign_in in SIGN_INS}


def new_id() -> str:
    """An id for a command."""
    return str(uuid7(datetime.now(UTC)))


class Caller:
    """One signed-in person, with a connection of their own."""

    def __init__(self, address: str, phone: str, password: str) -> None:
        self.client = httpx.Client(base_url=address, headers={"Origin": address}, timeout=60)
        answer = self.client.post("/api/v1/sessions", json={"phone": phone, "password": password})
        if answer.status_code != 201:
            self.client.close()
        assert answer.status_code == 201, answer.text
        self.client.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of an answer that has to be good."""
        answer = self.client.get(f"/api/v1{path}", **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Write something."""
        return self.client.post(f"/api/v1{path}", json=body)

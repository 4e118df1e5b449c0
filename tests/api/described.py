"""Whether a refusal is one that the description of its route names: every test over HTTP holds its answers to that."""

import json
import re
from functools import cache
from typing import Any

from api import openapi
from api.app import create_app
from api.problems import MEDIA_TYPE


@cache
def refusals() -> dict[tuple[str, str], set[str]]:
    """The codes of each route and method."""
    return {
        (path, method.upper()): {code for answer in operation["responses"].values() for code in codes_of(answer)}
        for path, operations in openapi.document(create_app())["paths"].items()
        for method, operation in operations.items()
    }


def codes_of(answer: Any) -> list[str]:
    """The codes of one status."""
    schema = answer.get("content", {}).get(MEDIA_TYPE, {}).get("schema", {})
    return list(schema.get("properties", {}).get("code", {}).get("enum", []))


class Heard:
    """Listens to one answer on its way."""

    def __init__(self, send: Any) -> None:
        self.to = send
        self.is_problem = False
        self.body = b""

    async def send(self, message: Any) -> None:
        """Pass a part on."""
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            self.is_problem = kinds == [MEDIA_TYPE.encode()]
        elif self.is_problem:
            self.body += message.get("body", b"")
        await self.to(message)

    def prove(self, scope: Any) -> None:
        """AssertionError when a route was refused with a code that its description does not name."""
        path = re.sub(r":\w+}", "}", scope.get("path_template") or "")
        named = refusals().get((path, scope["method"]))
        if self.is_problem and named is not None:
            code = json.loads(self.body)["code"]
            assert code in named, f"{scope['method']} {path} was refused with {code}, which its description lacks"

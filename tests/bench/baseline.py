"""What B3 is measured against: a bare handler that verifies one JWT and does one INSERT, same server, same pool."""

import os
from typing import Any
from uuid import uuid4

import jwt
from litestar import Litestar, Request, Response, post
from sqlalchemy import text

from timebank.database import create_engine

SECRET = "bench" * 8
TABLE = "timebank_bench"
INSERT = text(f"INSERT INTO {TABLE} (id, member) VALUES (:id, :member)")


def create_app() -> Litestar:
    """The app; granian starts it as it starts the bank's."""
    engine = create_engine(os.environ["TIMEBANK_DATABASE_URL"])

    @post("/insert", status_code=201)
    async def insert(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="bench")
        id = uuid4()
        async with engine.begin() as connection:
            await connection.execute(INSERT, {"id": id, "member": claims["sub"]})
        return Response({"id": str(id)})

    async def close() -> None:
        await engine.dispose()

    return Litestar([insert], on_shutdown=[close], openapi_config=None, logging_config=None)

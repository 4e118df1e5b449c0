"""Passwords and PINs that are hashed in no time, for tests that are about something else than how dear a guess is."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from argon2 import PasswordHasher, Type

from timebank import passwords

# The least that argon2id takes.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """Meanwhile the bank hashes and compares with parameters of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", CHEAP)
        patch.setattr(passwords, "NOBODY", CHEAP.hash("nobody"))
        yield

"""Passwords: hashed with a key, compared in the same way whether or not there is one."""

import pytest
from argon2 import PasswordHasher

from timebank import passwords
from timebank.keys import Keys

GOOD = "four herons over the lake"


async def test_the_right_password_matches_and_no_other() -> None:
    keys = Keys.new()
    stored = await passwords.hashed(keys, GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches(keys, GOOD, stored)
    assert not await passwords.matches(keys, GOOD + " ", stored)
    assert not await passwords.matches(keys, "", stored)
    assert not await passwords.matches(keys, GOOD, "not a hash")


async def test_the_hash_is_worthless_without_the_keys_file() -> None:
    stored = await passwords.hashed(Keys.new(), GOOD)
    assert not await passwords.matches(Keys.new(), GOOD, stored)


async def test_nobody_has_no_password_that_matches() -> None:
    keys = Keys.new()
    assert not await passwords.matches(keys, GOOD, None)
    assert not await passwords.matches(keys, "nobody's password, which no keyed hash can equal", None)


async def test_two_keyboards_give_one_password() -> None:
    keys = Keys.new()
    stored = await passwords.hashed(keys, "pass\u00e9 ma\u00f1ana １２３")
    assert await passwords.matches(keys, "passe\u0301 man\u0303ana 123", stored)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("short", "too_short"), ("x" * 201, "too_long"), ("aaaaaaaaaaaa", "too_simple"), ("121212121212", "too_simple")],
)
async def test_weak_passwords_are_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(passwords.PasswordWeak) as caught:
        await passwords.hashed(Keys.new(), password)
    assert caught.value.code == "password_weak"
    assert caught.value.data["reason"] == reason


async def test_broken_characters_do_not_break_it() -> None:
    keys = Keys.new()
    stored = await passwords.hashed(keys, "\ud800\x00half a character")
    assert await passwords.matches(keys, "\ud800\x00half a character", stored)


async def test_hashes_of_yesterday_are_renewed() -> None:
    keys = Keys.new()
    yesterday = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    old = yesterday.hash(passwords.peppered(keys, GOOD))
    assert await passwords.matches(keys, GOOD, old)
    new = await passwords.renewed(keys, GOOD, old)
    assert new is not None
    assert await passwords.matches(keys, GOOD, new)
    assert await passwords.renewed(keys, GOOD, new) is None

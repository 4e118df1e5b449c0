"""Codes: what was made is read back, what was touched is never taken, and a slot has exact edges."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import qrcode
from hypothesis import assume, given
from hypothesis import strategies as st
from qrcode.constants import ERROR_CORRECT_Q

from timebank import codes
from timebank.codes import CodeExpired, CodeForged, CodeMalformed, CodeRefused
from timebank.hourly import HourlyKeys

SECRET, OTHER_SECRET = b"s" * 32, b"t" * 32
KEYS, OTHER_KEYS = HourlyKeys(SECRET), HourlyKeys(OTHER_SECRET)
NOW = datetime(2026, 3, 2, 1, 0, 7, tzinfo=UTC)
SLOT = codes.slot_at(NOW)

station_numbers = st.integers(1, 2**20 - 1)
device_numbers = st.integers(1, 2**25 - 1)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware


def code_at(now: datetime = NOW, **more: Any) -> str:
    """A station code that is live at `now`."""
    numbers = {"station_number": 7, "device_number": 9, "slot": codes.slot_at(now), **more}
    return codes.station_code(KEYS, **numbers)


@given(st.integers(1, 40), st.data())
def test_a_number_comes_back_from_its_characters(length: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 32**length - 1))
    text = codes.encode(value, length)
    assert len(text) == length
    assert codes.decode(text) == value


@pytest.mark.parametrize("text", ["U", "1O", "a", " ", "٣"])
def test_a_foreign_character_spells_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.$"):
        codes.decode(text)


@given(station_numbers, device_numbers, moments)
def test_a_station_code_says_what_was_put_in(station_number: int, device_number: int, now: datetime) -> None:
    code = code_at(now, station_number=station_number, device_number=device_number)
    scan = codes.read_station_code(KEYS, code, now)
    assert (scan.station_number, scan.device_number, scan.slot) == (station_number, device_number, codes.slot_at(now))
    assert (scan.text, scan.occurred_at, scan.source) == (code, now, "live")


@given(st.integers(0, 2**40 - 1))
def test_a_redemption_code_says_its_number(number: int) -> None:
    assert codes.read_redemption_code(SECRET, codes.redemption_code(SECRET, number)) == number


def test_codes_are_as_long_as_they_are_said_to_be() -> None:
    assert len(code_at(station_number=2**20 - 1, device_number=2**25 - 1)) == codes.STATION_LENGTH == 32
    assert len(codes.redemption_code(SECRET, 2**40 - 1)) == codes.REDEMPTION_LENGTH == 25


@given(st.sampled_from(["station", "redemption"]), st.data())
def test_one_changed_character_is_never_taken(kind: str, data: st.DataObject) -> None:
    code = code_at() if kind == "station" else codes.redemption_code(SECRET, 123456789)
    place = data.draw(st.integers(0, len(code) - 1))
    character = data.draw(st.one_of(st.sampled_from(codes.ALPHABET), st.characters()))
    changed = code[:place] + character + code[place + 1 :]
    # A small letter, and O, I and L for the digits they look like, are the same code.
    assume(character not in {*"oOiIlL", code[place], code[place].lower()})
    with pytest.raises((CodeMalformed, CodeForged)):
        read(kind, changed)


@given(st.sampled_from(["station", "redemption"]), st.data())
def test_a_code_that_grew_or_shrank_is_malformed(kind: str, data: st.DataObject) -> None:
    code = code_at() if kind == "station" else codes.redemption_code(SECRET, 123456789)
    place = data.draw(st.integers(0, len(code) - 1))
    more = data.draw(st.text(codes.ALPHABET, max_size=200))
    with pytest.raises(CodeMalformed):
        read(kind, code[:place] + more + code[place + (1 if not more else 0) :])


@given(st.text(max_size=250))
def test_any_other_text_is_malformed(text: str) -> None:
    for kind in ("station", "redemption"):
        with pytest.raises(CodeMalformed):
            read(kind, text)


def read(kind: str, text: str) -> Any:
    """What a code of one kind says at NOW."""
    if kind == "station":
        return codes.read_station_code(KEYS, text, NOW)
    return codes.read_redemption_code(SECRET, text)


@pytest.mark.parametrize(("ours", "foreign"), [("S", "ſ"), ("K", "\u212a"), ("1", "ı"), ("1", "１"), ("0", "０")])
def test_what_only_looks_like_a_character_of_ours_is_foreign(ours: str, foreign: str) -> None:
    code = next(code for number in range(1, 99) if ours in (code := code_at(device_number=number)))
    assert codes.read_station_code(KEYS, code, NOW)
    with pytest.raises(CodeMalformed):
        codes.read_station_code(KEYS, code.replace(ours, foreign), NOW)


def test_what_is_too_long_is_not_even_read() -> None:
    assert codes.read_station_code(KEYS, code_at() + " " * 168, NOW)
    with pytest.raises(CodeMalformed):
        codes.read_station_code(KEYS, code_at() + " " * 169, NOW)


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        " {}\n",
        "https://bank.example/K/{}",
        "HTTPS://BANK.EXAMPLE/K/{}",
        "http://192.0.2.1:8000/K/{}?from=camera",
        "https://bank.example/K/{}/",
        "https://bank.example/K/{}#top",
        "/K/{}",
        "/{}",
    ],
)
def test_a_code_is_read_however_it_arrives(wrap: str) -> None:
    code = code_at()
    grouped = "-".join(code[start : start + 4] for start in range(0, len(code), 4))
    spelt = code.replace("0", "O").replace("1", "l")
    for text in (code, code.lower(), grouped, grouped.replace("-", " "), spelt, spelt.replace("l", "I").lower()):
        scan = codes.read_station_code(KEYS, wrap.format(text), NOW)
        assert (scan.text, scan.station_number) == (code, 7)


def test_a_code_of_another_key_or_purpose_is_forged() -> None:
    with pytest.raises(CodeForged):
        codes.read_station_code(OTHER_KEYS, code_at(), NOW)
    with pytest.raises(CodeForged):
        codes.read_redemption_code(OTHER_SECRET, codes.redemption_code(SECRET, 5))
    body = code_at()[: -codes.MAC_LENGTH]
    with pytest.raises(CodeForged):
        codes.read_station_code(KEYS, body + codes.mac(KEYS.of(9, SLOT), "redemption", body), NOW)
    # One kind is not the other, whatever path it stands under.
    with pytest.raises(CodeMalformed):
        codes.read_station_code(KEYS, codes.redemption_code(SECRET, 5), NOW)
    with pytest.raises(CodeMalformed):
        codes.read_redemption_code(SECRET, f"/R/{code_at()}")


def test_the_key_of_an_hour_never_changes() -> None:
    # Computed once with the openssl command line: HKDF-SHA256, no salt, the info timebank/kiosk/9/492001.
    keys = HourlyKeys(bytes(range(32)))
    assert keys.of(9, 492001 * 180).hex() == "d3a7b44de1517c33d0ab8d7aebd2c3982bdae69aa985791a40dff821b1d68db2"
    assert keys.secret.hex() not in f"{keys} {keys!r}"


def test_every_hour_and_device_has_a_key_of_its_own() -> None:
    handed = KEYS.ahead(9, NOW)
    assert list(handed) == list(range(SLOT // 180, SLOT // 180 + 24))
    for hour, key in handed.items():
        # An hour is as long as its slots say.
        assert {KEYS.of(9, hour * 180), KEYS.of(9, hour * 180 + 179)} == {key}
    assert len({*handed.values(), *KEYS.ahead(10, NOW).values(), *OTHER_KEYS.ahead(9, NOW).values()}) == 72
    # What a device makes by itself is what is read.
    key, body = handed[SLOT // 180], code_at()[: -codes.MAC_LENGTH]
    assert body + codes.mac(key, "station", body) == code_at()
    assert codes.digits_under(key, 7, 9, SLOT) == codes.station_digits(KEYS, 7, 9, SLOT)


def test_an_unknown_version_is_malformed_and_not_guessed_at() -> None:
    body = "2" + code_at()[1 : -codes.MAC_LENGTH]
    with pytest.raises(CodeMalformed):
        codes.read_station_code(KEYS, body + codes.mac(KEYS.of(9, SLOT), "station", body), NOW)


def test_forged_is_said_before_expired() -> None:
    old = code_at(NOW - timedelta(days=1))
    with pytest.raises(CodeExpired) as expired:
        codes.read_station_code(KEYS, old, NOW)
    assert expired.value.data == {"slot": codes.slot_at(NOW - timedelta(days=1))}
    with pytest.raises(CodeForged):
        codes.read_station_code(OTHER_KEYS, old, NOW)


@given(moments)
def test_a_code_lives_from_one_slot_before_it_to_the_end_of_two_after(shown: datetime) -> None:
    code, begin = code_at(shown), codes.slot_start(codes.slot_at(shown))
    moment = timedelta(microseconds=1)
    first, after = begin - timedelta(seconds=20), begin + timedelta(seconds=60)
    for live in (first, shown, after - moment):
        assert codes.read_station_code(KEYS, code, live).slot == codes.slot_at(shown)
    for dead in (first - moment, after, after + timedelta(days=300)):
        with pytest.raises(CodeExpired):
            codes.read_station_code(KEYS, code, dead)


@given(moments)
def test_a_slot_is_twenty_seconds_that_join_on(now: datetime) -> None:
    slot = codes.slot_at(now)
    assert timedelta() <= now - codes.slot_start(slot) < timedelta(seconds=20)
    assert codes.slot_at(codes.slot_start(slot)) == slot
    assert codes.slot_start(slot + 1) - codes.slot_start(slot) == timedelta(seconds=20)


@given(st.uuids(), st.integers(0, 8))
def test_a_redemption_draws_the_same_numbers_at_every_call(redemption_id: UUID, attempt: int) -> None:
    number, digits = codes.redemption_numbers(SECRET, redemption_id, attempt)
    assert (number, digits) == codes.redemption_numbers(SECRET, redemption_id, attempt)
    assert 0 <= number < 2**40
    assert len(digits) == 8
    assert digits.isascii()
    assert digits.isdigit()
    assert number != codes.redemption_numbers(SECRET, redemption_id, attempt + 1)[0]
    assert number != codes.redemption_numbers(OTHER_SECRET, redemption_id, attempt)[0]


def test_an_address_fits_a_coarse_picture() -> None:
    host = "timebank.nanchang.gov.cn"
    assert len(host) == 24
    for path in (f"/K/{code_at()}", f"/R/{codes.redemption_code(SECRET, 2**40 - 1)}"):
        text = f"https://{host}{path}".upper()
        assert len(text) <= 67
        picture = qrcode.QRCode(error_correction=ERROR_CORRECT_Q)
        picture.add_data(text)
        picture.make(fit=True)
        assert picture.version <= 4
    # One character more, or small letters, and the picture gets finer.
    for text in (f"HTTPS://X{host}/K/{code_at()}".upper(), f"https://{host}/K/{code_at()}"):
        picture = qrcode.QRCode(error_correction=ERROR_CORRECT_Q)
        picture.add_data(text)
        picture.make(fit=True)
        assert picture.version > 4


def test_every_refusal_has_a_code_of_its_own() -> None:
    kinds = [CodeMalformed, CodeForged, CodeExpired]
    assert [kind.code for kind in kinds] == ["code_malformed", "code_forged", "code_expired"]
    assert all(issubclass(kind, CodeRefused) for kind in kinds)

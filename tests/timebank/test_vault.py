"""Personal fields open for their person, purpose and keys, and for nothing else."""

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

from timebank import vault
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.refusal import Refusal

NOW = datetime(2026, 3, 2, tzinfo=UTC)
FIELDS = {"name": "林一", "phone": "+8613900000001"}


def row_of(keys: Keys, book_id: int = 1, member_id: UUID | None = None) -> SimpleNamespace:
    """What the table would hold."""
    member_id = member_id or uuid7(NOW)
    sealed = vault.seal(keys, book_id, member_id, FIELDS)
    return SimpleNamespace(
        book_id=book_id, id=member_id, key_id=sealed.key_id, data_key=sealed.data_key, personal=sealed.personal
    )


def test_what_was_sealed_opens_again() -> None:
    keys = Keys.new()
    row = row_of(keys)
    assert vault.unseal(keys, row) == FIELDS
    assert "林一".encode() not in row.personal
    assert b"139" not in row.personal


def test_the_same_fields_never_look_the_same() -> None:
    keys = Keys.new()
    member_id = uuid7(NOW)
    first, second = row_of(keys, 1, member_id), row_of(keys, 1, member_id)
    assert first.personal != second.personal
    assert first.data_key != second.data_key


def test_without_the_data_key_nothing_opens() -> None:
    keys = Keys.new()
    row = row_of(keys)
    beside = vault.seal_beside(keys, row, "trail", {"name": "林二"})
    row.data_key = row.personal = None
    assert vault.unseal(keys, row) is None
    with pytest.raises(TypeError):
        vault.unseal_beside(keys, row, "trail", beside)


def test_fields_stored_elsewhere_open_for_their_purpose_only() -> None:
    keys = Keys.new()
    row = row_of(keys)
    sealed = vault.seal_beside(keys, row, "trail", {"old": "林二"})
    assert vault.unseal_beside(keys, row, "trail", sealed) == {"old": "林二"}
    with pytest.raises(vault.Damaged):
        vault.unseal_beside(keys, row, "member", sealed)


def test_changed_fields_keep_the_data_key() -> None:
    keys = Keys.new()
    row = row_of(keys)
    row.personal = vault.reseal(keys, row, {"name": "林三", "phone": None})
    assert vault.unseal(keys, row) == {"name": "林三", "phone": None}


@pytest.mark.parametrize("moved", ["book_id", "id", "personal", "data_key"])
def test_a_text_moved_to_another_row_does_not_open(moved: str) -> None:
    keys = Keys.new()
    row, other = row_of(keys, 1), row_of(keys, 2)
    setattr(row, moved, getattr(other, moved))
    with pytest.raises(vault.Damaged):
        vault.unseal(keys, row)


@pytest.mark.parametrize("position", [0, 1, 12, 13, -1])
@pytest.mark.parametrize("field", ["personal", "data_key"])
def test_one_changed_byte_is_noticed(field: str, position: int) -> None:
    keys = Keys.new()
    row = row_of(keys)
    changed = bytearray(getattr(row, field))
    changed[position] ^= 1
    setattr(row, field, bytes(changed))
    with pytest.raises(vault.Damaged):
        vault.unseal(keys, row)


@pytest.mark.parametrize("length", [0, 1, 5, 13, 20])
def test_a_cut_text_is_damaged_and_nothing_worse(length: int) -> None:
    keys = Keys.new()
    row = row_of(keys)
    row.personal = row.personal[:length]
    with pytest.raises(vault.Damaged):
        vault.unseal(keys, row)


def test_rotated_keys_read_the_old_and_write_the_new() -> None:
    keys = Keys.new()
    old = row_of(keys)
    rotated = keys.rotated(NOW, ["kek"])
    new = row_of(rotated)
    assert (old.key_id, new.key_id) == (1, 2)
    assert vault.unseal(rotated, old) == vault.unseal(rotated, new) == FIELDS
    with pytest.raises(Refusal) as caught:
        vault.unseal(keys, new)
    assert caught.value.code == "key_unknown"


def test_other_keys_open_nothing() -> None:
    with pytest.raises(vault.Damaged):
        vault.unseal(Keys.new(), row_of(Keys.new()))

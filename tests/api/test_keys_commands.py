"""`timebank keys`: shows no key, rotates without loss, backs up without overwriting."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from api.commands import keys as commands
from timebank.keys import Keys


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIMEBANK_DATA", str(tmp_path))
    monkeypatch.setattr(commands.console, "width", 200)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def test_show_says_which_and_never_what(data: Path) -> None:
    keys = Keys.load_or_create(data / "keys.json")
    result = run("show")
    assert result.exit_code == 0
    assert "kek" in result.output
    for secret in json.loads((data / "keys.json").read_text())["masters"].values():
        assert secret not in result.output
    assert keys.station.secret.hex() not in result.output


def test_rotate_makes_a_new_key_and_keeps_the_old(data: Path) -> None:
    before = Keys.load_or_create(data / "keys.json")
    result = run("rotate")
    assert result.exit_code == 0
    assert "within seconds" in result.output
    after = Keys.load(data / "keys.json")
    assert (after.key_id, after.ticket_kid) == (2, "2")
    assert after.masters[1] == before.masters[1]
    assert after.station == before.station


def test_rotate_takes_one_purpose(data: Path) -> None:
    before = Keys.load_or_create(data / "keys.json")
    assert run("rotate", "--purpose", "station").exit_code == 0
    after = Keys.load(data / "keys.json")
    assert after.station.secret != before.station.secret
    assert [secret for secret, _ in after.station.former] == [before.station.secret]
    assert after.key_id == 1
    assert run("rotate", "--purpose", "pepper").exit_code == 2
    assert run("rotate", "--purpose", "station", "--stolen").exit_code == 0
    assert Keys.load(data / "keys.json").station.former == ()


def test_backup_overwrites_nothing(data: Path) -> None:
    keys = Keys.load_or_create(data / "keys.json")
    copy = data / "copy.json"
    assert run("backup", "--plain", str(copy)).exit_code == 0
    assert Keys.load(copy) == keys
    again = run("backup", "--plain", str(copy))
    assert again.exit_code == 1
    assert "file_exists" in again.output


@pytest.mark.parametrize("arguments", [("show",), ("rotate",), ("backup", "--plain", "copy.json")])
def test_without_keys_every_command_says_so(data: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "keys_missing" in result.output
    assert not (data / "keys.json").exists()


def test_restore_puts_a_copy_in_place_and_leaves_keys_alone(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("safe") / "copy.json"
    keys = Keys.new()
    keys.backup(copy)
    assert run("restore", str(copy)).exit_code == 0
    assert Keys.load(data / "keys.json") == keys
    again = run("restore", str(copy))
    assert again.exit_code == 1
    assert "file_exists" in again.output
    assert "keys_missing" in run("restore", str(copy.with_name("none.json"))).output

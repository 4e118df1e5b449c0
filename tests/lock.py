"""Resolve the dependencies again: `make lock`. Writes hashes and no addresses.

requirements.lock is what runs the bank (and the uv that installs it); requirements-test.lock is the same
versions plus what the tests need.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

COMMON = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
QUIET = ["--no-header", "--no-annotate", "--quiet"]


def compile_lock(target: str, *extra: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", *COMMON, *QUIET, "pyproject.toml", *extra, "-o", target]
    subprocess.run(command, check=True, env={**os.environ, "UV_NO_CONFIG": "1"})
    text = Path(target).read_text()
    if re.search(r"https?:|file:|--(extra-)?index|--find-links", text):
        sys.exit(f"{target} names an address; remove it before committing")


compile_lock("requirements.lock", "--group", "build")
pins = Path(".venv/pins.txt")
pins.write_text("\n".join(re.findall(r"^[\w.\-]+==[^\s\\]+", Path("requirements.lock").read_text(), re.MULTILINE)))
compile_lock("requirements-test.lock", "--group", "build", "--group", "test", "-c", str(pins))

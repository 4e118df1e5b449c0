"""How much of the code the tests run through: all branches of the ledger and of the policy, nine tenths elsewhere.

`make test` calls this last; it prints what is missing and fails below the floors.
"""

import json
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

# As pyproject.toml tells slipcover to write it.
MEASURED = Path(".coverage.json")
FLOORS = {"ledger/*": 100.0, "timebank/policy.py": 100.0, "timebank/*,api/*": 90.0}


def reached(files: dict[str, dict[str, Any]]) -> float:
    """Of all lines and branches of these files, how many per cent were run; 0 where nothing was measured."""
    sums = [file["summary"] for file in files.values()]
    covered = sum(each["covered_lines"] + each["covered_branches"] for each in sums)
    missing = sum(each["missing_lines"] + each["missing_branches"] for each in sums)
    return 100 * covered / (covered + missing) if covered else 0.0


def main() -> int:
    """The exit status."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["files"]
    status = 0
    for patterns, floor in FLOORS.items():
        files = {
            path: file for path, file in measured.items() if any(fnmatch(path, each) for each in patterns.split(","))
        }
        per_cent = reached(files)
        print(f"{patterns}: {per_cent:.1f} % of lines and branches, at least {floor:.0f} %")
        if per_cent < floor:
            status = 1
            for path, file in sorted(files.items()):
                if file["missing_lines"] or file["missing_branches"]:
                    print(f"  {path}: lines {file['missing_lines']}, branches {file['missing_branches']}")
    return status


if __name__ == "__main__":
    sys.exit(main())

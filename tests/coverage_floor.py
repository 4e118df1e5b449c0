"""How much of the code the tests run through: all branches of the ledger and of the policy, nine tenths elsewhere.

`make test` calls this last; it prints what is missing and fails below the floors.
"""

import sys
from io import StringIO

from coverage import Coverage
from coverage.exceptions import NoDataError

FLOORS = {"ledger/*": 100.0, "timebank/policy.py": 100.0, "timebank/*,api/*": 90.0}


def main() -> int:
    """The exit status."""
    coverage = Coverage()
    coverage.load()
    status = 0
    for patterns, floor in FLOORS.items():
        report = StringIO()
        try:
            reached = coverage.report(include=patterns.split(","), file=report, show_missing=True, skip_covered=True)
        except NoDataError:
            reached = 0.0
        passes = reached >= floor
        print(f"{patterns}: {reached:.1f} % of lines and branches, at least {floor:.0f} %")
        if not passes:
            print(report.getvalue())
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

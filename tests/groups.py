"""Which tests run in one worker, because they share what is dear to make: a bank that serves, or a demo city.

A group goes by where a test stands: the marks that pytest-xdist has for groups hold nothing since pytest 9.2, without a
word (pytest-xdist issue 1386).
"""

from xdist.scheduler import LoadScopeScheduling

# Of these each file is a group.
BY_FILE = (
    "tests/browser/",
    "tests/fuzz/",
    "tests/service/test_database.py",
    "tests/service/test_export_command.py",
    "tests/service/test_faults.py",
    "tests/timebank/test_gateways.py",
)
# So long, each of them, that another worker may take the next.
BY_THEMSELVES = ("tests/browser/test_pages.py::test_every_page[", "tests/fuzz/test_openapi.py::")
# One worker makes the demo city that these copy.
DEMO_CITY = (
    "tests/service/test_copies.py",
    "tests/service/test_commands.py::test_an_audit_passes_until_somebody_tampers",
    "tests/service/test_kiosk_line.py",
)


def group_of(id: str) -> str:
    """The group of a test; its own id where it shares nothing."""
    if id.startswith(DEMO_CITY):
        return "demo city"
    if id.startswith(BY_FILE) and not id.startswith(BY_THEMSELVES):
        return id.partition("::")[0]
    return id


class Groups(LoadScopeScheduling):
    """Hands whole groups to workers, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

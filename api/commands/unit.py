"""`timebank unit`: what systemd needs to start the bank with the machine."""

import getpass
import sys
from pathlib import Path

import click

from timebank.settings import from_environment

UNIT = """\
# Save as /etc/systemd/system/timebank.service, then: systemctl daemon-reload; systemctl enable --now timebank
[Unit]
Description=Time bank
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=exec
User={account}
Environment={variable}
ExecStart={command}
Restart=on-failure
RestartSec=5
# The bank stops its workers and its PostgreSQL itself, in good order: the signal is for it alone.
KillMode=mixed
TimeoutStopSec=180
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={data}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
{low_port}
[Install]
WantedBy=multi-user.target
"""


@click.command()
@click.option("--account", default=getpass.getuser, help="Whom it runs as; not root. By default who types this.")
@click.option("--lan", is_flag=True, help="As timebank run --lan.")
@click.option("--file", type=click.Path(path_type=Path), help="The file of settings that it is started with.")
def unit(account: str, lan: bool, file: Path | None) -> None:
    """Print a unit for systemd that starts the bank with the machine, with the data directory of now."""
    if account == "root":
        raise click.ClickException("Make an account for it first, and name it with --account: useradd --system bank")
    settings = from_environment()
    command = [sys.executable, "-m", "api.cli"]
    if file is not None:
        command += ["--settings", str(file.absolute())]
    command += ["run", *(["--lan"] if lan else [])]
    low = "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" if settings.port < 1024 else ""
    click.echo(
        UNIT.format(
            account=account,
            variable=quoted(f"TIMEBANK_DATA={settings.data}"),
            data=quoted(str(settings.data)),
            command=" ".join(map(quoted, command)),
            low_port=low,
        ),
        nl=False,
    )


def quoted(word: str) -> str:
    """A word as systemd reads it: percent signs are its own."""
    plain = word.replace("%", "%%")
    return f'"{plain}"' if any(character in plain for character in " \t'") else plain

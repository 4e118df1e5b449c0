"""`timebank certificate`: the certificate by which a bank on a local network serves https."""

import click
from rich.console import Console

from api import network
from api.commands.desk import spoken
from timebank import certificates
from timebank.clock import system_clock
from timebank.settings import from_environment

console = Console()


@click.command()
@click.option("--renew", is_flag=True, help="Make a new one now, with this machine's names and addresses of today.")
def certificate(renew: bool) -> None:
    """Say which certificate the bank has, and for what names. Phones that trust the authority trust each new one.

    `timebank run --lan` makes one by itself where it is needed. A new one counts from the next start on.
    """
    with spoken():
        settings, now = from_environment(), system_clock()
        if renew:
            # What is set beside is somebody else's to renew.
            settings = network.with_own_certificate(settings, now, anew=True)
        pair = network.pair_of(settings) or certificates.own_of(settings.data)
        facts = certificates.refuse_unfit(pair, now)
    console.print(f"{pair.certificate}, good until {facts.ends_at.date().isoformat()}, for:", soft_wrap=True)
    for name in sorted(facts.names):
        console.print(f"  {name}", highlight=False)
    console.print(f"SHA-256 {facts.fingerprint}", highlight=False, soft_wrap=True)
    authority = certificates.authority_of(settings.data).certificate
    if pair == certificates.own_of(settings.data):
        console.print("Its authority, which phones have to trust:")
        console.print(f"SHA-256 {certificates.read(authority).fingerprint}", highlight=False, soft_wrap=True)

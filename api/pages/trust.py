"""How a phone comes to trust a bank on a local network, whose certificate no public authority vouches for."""

from typing import Any

from litestar import Response, get

from api import network
from api.pages.page import AnyRequest, show
from api.state import Bank, bank_of
from timebank import certificates
from timebank.errors import NotFound


@get(network.TRUST_PATH)
async def trust(request: AnyRequest) -> Response[Any]:
    """What to do on each kind of phone, and the fingerprint to compare. Only where the bank has its own authority."""
    path = authority(bank_of(request))
    return show(request, "trust.html", fingerprint=certificates.read(path).fingerprint.split(":"))


@get(f"{network.TRUST_PATH}/authority.crt")
async def download(request: AnyRequest) -> Response[bytes]:
    """The authority's certificate, as phones install it."""
    return Response(
        certificates.as_phones_read(authority(bank_of(request))),
        media_type="application/x-x509-ca-cert",
        headers={"Content-Disposition": 'attachment; filename="timebank.crt"'},
    )


def authority(bank: Bank) -> Any:
    """Where the authority's certificate is; `NotFound` where a public one vouches for the bank."""
    if not network.has_own_certificate(bank.settings):
        raise NotFound(kind="certificate")
    return certificates.authority_of(bank.settings.data).certificate


handlers = [trust, download]

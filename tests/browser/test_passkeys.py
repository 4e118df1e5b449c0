"""A manager adds a passkey and signs in by it, with the authenticator that Chromium makes of software."""

from playwright.sync_api import expect

from tests.browser.bank import Service
from tests.browser.people import Open, phone_of


def test_a_manager_adds_a_passkey_and_signs_in_by_it(service: Service, opened: Open) -> None:
    # Passkeys are for a name, which the machine itself has too.
    named = opened("en", address=service.address.replace("127.0.0.1", "localhost"))
    page = named.page()
    devtools = named.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device = {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}}
    made = devtools.send("WebAuthn.addVirtualAuthenticator", device)
    page.goto(f"{named.address}/sign-in")
    page.click(f"form:has(input[value='{phone_of('manager')}']) button")
    page.wait_for_url(f"{named.address}/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("What you call it").fill("The desk's phone")
    page.get_by_role("button", name="Add a passkey of this device").click()
    expect(page.get_by_text("Your passkey is added")).to_be_visible()
    expect(page.get_by_role("heading", name="The desk's phone")).to_be_visible()
    # The same device makes no second one, and says so.
    page.get_by_role("button", name="Add a passkey of this device").click()
    expect(page.get_by_text("It did not work.")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{named.address}/sign-in?next=/queue")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{named.address}/queue")
    page.goto(f"{named.address}/passkeys")
    expect(page.get_by_text("last used")).to_be_visible()

    # Nobody unlocks it: the page stays and says so.
    page.get_by_role("button", name="Sign out").click()
    verified = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
    devtools.send("WebAuthn.setUserVerified", verified)
    page.goto(f"{named.address}/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("It did not work.")).to_be_visible()

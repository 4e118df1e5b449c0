"""How people sign in besides a phone number: passkeys, and accounts that they have elsewhere."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, UniqueConstraint, Uuid

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, words

# A passkey of somebody with an office: the public half; the private one never leaves its device.
passkey = Table(
    "passkey",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    # What the device calls it, and how its signatures are checked (COSE, RFC 9052).
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    # How often the device says it has signed; 0 from those that do not count.
    Column("sign_count", BigInteger, nullable=False),
    # What its owner calls it, sealed under the owner's key.
    Column("name", LargeBinary, nullable=False),
    moment("added_at"),
    moment("used_at", nullable=True),
    belongs_to("member_id", "member"),
    UniqueConstraint("book_id", "credential_id"),
    Index(None, "book_id", "member_id"),
)

# What a device was asked to sign: answered once, within minutes.
passkey_challenge = Table(
    "passkey_challenge",
    metadata,
    book_key(),
    # SHA-256: the table alone answers nothing.
    Column("challenge_hash", LargeBinary, primary_key=True),
    # Who adds a passkey; none: somebody signs in.
    Column("member_id", Uuid),
    moment("expires_at"),
    belongs_to("member_id", "member"),
    Index(None, "book_id", "expires_at"),
)

# Whom somebody outside knows a member as: the issuer, and under a keyed hash what the issuer calls the member.
outside_account = Table(
    "outside_account",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    words("issuer"),
    Column("subject_hash", LargeBinary, nullable=False),
    moment("linked_at"),
    moment("used_at", nullable=True),
    belongs_to("member_id", "member"),
    UniqueConstraint("book_id", "issuer", "subject_hash"),
    Index(None, "book_id", "member_id"),
)

# Somebody who went outside to sign in there, and is to come back soon, in the same browser.
outside_errand = Table(
    "outside_errand",
    metadata,
    book_key(),
    # SHA-256 of what comes back in the address.
    Column("state_hash", LargeBinary, primary_key=True),
    words("provider"),
    Column("browser_hash", LargeBinary, nullable=False),
    # Who links an account; none: somebody signs in.
    Column("member_id", Uuid),
    # The page of ours that they wanted.
    words("following"),
    moment("expires_at"),
    belongs_to("member_id", "member"),
    Index(None, "book_id", "expires_at"),
)

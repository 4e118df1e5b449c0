"""The tables of which rows may be deleted; of every other none ever is, and the service's role could not do it."""

# What ends by itself, is forgotten with its person, or is a picture or list of places.
PASSING = frozenset(
    {
        "activation",
        "attempt",
        "identity_check",
        "outside_account",
        "outside_errand",
        "passkey",
        "passkey_challenge",
        "phone_code",
        "pin",
        "read_token",
        "reward_picture",
        "reward_place",
        "session",
        "shift_feed",
        "webhook",
        "webhook_message",
    }
)

"""What points become: purses, rewards and their redemptions."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

# What a limit is for: one local day, a week from Monday on, a calendar month or year, or all time.
REDEMPTION_STATES = ("held", "fulfilled", "cancelled", "timed_out")
PERIODS = ("day", "week", "month", "year", "ever")

# A member's points live in one ledger account per (member, fund, expiry date); the purse's id is that account's id.
purse = Table(
    "purse",
    metadata,
    book_key(),
    id_key(),
    Column("member_id", Uuid, nullable=False),
    Column("fund_id", Uuid, nullable=False),
    # The last local day on which the points may be spent.
    Column("expires_on", Date, nullable=False),
    # When what was left in it expired; none again as soon as something comes back.
    moment("swept_at", nullable=True),
    belongs_to("member_id", "member"),
    belongs_to("fund_id", "fund"),
    UniqueConstraint("book_id", "member_id", "expires_on", "fund_id"),
    Index("purse_unswept_idx", "book_id", "expires_on", postgresql_where=text("swept_at IS NULL")),
)

reward = Table(
    "reward",
    metadata,
    book_key(),
    id_key(),
    words("kind"),
    words("name_zh"),
    words("name_en"),
    words("description_zh"),
    words("description_en"),
    Column("region_id", Uuid, nullable=False),
    Column("price_points", BigInteger, nullable=False),
    Column("stock", Integer, nullable=False),
    # At most this many held or fulfilled for one member in one calendar period; none: no limit.
    Column("limit_pieces", Integer),
    words("limit_period", nullable=True),
    moment("starts_at"),
    moment("ends_at", nullable=True),
    Column("hold_minutes", Integer, nullable=False),
    words("state"),
    moment("created_at"),
    belongs_to("region_id", "region"),
    CheckConstraint(one_of("kind", "goods", "service", "voucher", "honour"), name="kind"),
    CheckConstraint("price_points > 0", name="price_points"),
    CheckConstraint("stock >= 0", name="stock"),
    CheckConstraint("limit_pieces > 0", name="limit_pieces"),
    CheckConstraint(one_of("limit_period", *PERIODS), name="limit_period"),
    CheckConstraint("(limit_pieces IS NULL) = (limit_period IS NULL)", name="limit_is_whole"),
    CheckConstraint("hold_minutes BETWEEN 1 AND 525600", name="hold_minutes"),
    CheckConstraint(one_of("state", "open", "closed"), name="state"),
)

reward_place = Table(
    "reward_place",
    metadata,
    book_key(),
    Column("reward_id", Uuid, primary_key=True),
    Column("station_id", Uuid, primary_key=True),
    belongs_to("reward_id", "reward"),
    belongs_to("station_id", "station"),
)

redemption = Table(
    "redemption",
    metadata,
    book_key(),
    id_key(),
    # In the QR code, and as digits to be read aloud at the counter.
    Column("number", BigInteger, nullable=False),
    Column("digits", CHAR(8), nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("reward_id", Uuid, nullable=False),
    Column("points", BigInteger, nullable=False),
    words("state"),
    moment("held_at"),
    moment("expires_at"),
    moment("ended_at", nullable=True),
    Column("ended_by", Uuid),
    # Where it was handed over; an honour without places is fulfilled at once, nowhere.
    Column("station_id", Uuid),
    # Who redeemed it for the member; none: the member.
    Column("made_by", Uuid),
    # Whether that was a helper, and nobody at a desk: helpers have a limit for each day.
    Column("by_helper", Boolean, nullable=False, server_default=text("false")),
    belongs_to("member_id", "member"),
    belongs_to("reward_id", "reward"),
    belongs_to("station_id", "station"),
    belongs_to("ended_by", "member"),
    belongs_to("made_by", "member"),
    UniqueConstraint("book_id", "number"),
    CheckConstraint(one_of("state", *REDEMPTION_STATES), name="state"),
    CheckConstraint("(state = 'held') = (ended_at IS NULL)", name="held_has_no_end"),
    CheckConstraint("station_id IS NULL OR state = 'fulfilled'", name="only_fulfilled_has_a_place"),
    CheckConstraint("digits ~ '^[0-9]{8}$'", name="digits"),
    # By digits, also what was handed over already, to say so.
    Index(None, "book_id", "digits"),
    # Eight digits name one redemption among those that can still be handed over.
    Index("redemption_digits_key", "book_id", "digits", unique=True, postgresql_where=text("state = 'held'")),
    Index("redemption_held_idx", "book_id", "expires_at", postgresql_where=text("state = 'held'")),
    Index(None, "book_id", "member_id", "held_at"),
    Index(None, "book_id", "reward_id", "member_id", "held_at"),
)

# Which purses a redemption was taken from: a refund goes back to exactly these.
redemption_part = Table(
    "redemption_part",
    metadata,
    book_key(),
    Column("transfer_id", Uuid, primary_key=True),
    Column("redemption_id", Uuid, nullable=False),
    Column("purse_id", Uuid, nullable=False),
    Column("points", BigInteger, nullable=False),
    belongs_to("redemption_id", "redemption"),
    belongs_to("purse_id", "purse"),
    CheckConstraint("points > 0", name="points"),
    Index(None, "book_id", "redemption_id"),
)

# Every hand-over at a counter; the id is that of the command. What a redemption is now stands on the redemption.
fulfilment = Table(
    "fulfilment",
    metadata,
    book_key(),
    id_key(),
    Column("redemption_id", Uuid, nullable=False),
    Column("station_id", Uuid, nullable=False),
    Column("clerk_id", Uuid, nullable=False),
    moment("at"),
    belongs_to("redemption_id", "redemption"),
    belongs_to("station_id", "station"),
    belongs_to("clerk_id", "member"),
    Index(None, "book_id", "station_id", "at"),
    Index(None, "book_id", "redemption_id"),
)

# A hand-over that a clerk took back; each once.
fulfilment_undo = Table(
    "fulfilment_undo",
    metadata,
    book_key(),
    Column("fulfilment_id", Uuid, primary_key=True),
    Column("clerk_id", Uuid, nullable=False),
    moment("at"),
    belongs_to("fulfilment_id", "fulfilment"),
    belongs_to("clerk_id", "member"),
)

# Pictures apart from the rewards, so that nobody who lists rewards reads them. Always WebP, made by ourselves.
reward_picture = Table(
    "reward_picture",
    metadata,
    book_key(),
    Column("reward_id", Uuid, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    moment("created_at"),
    belongs_to("reward_id", "reward"),
    CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name="digest"),
    CheckConstraint("octet_length(content) <= 1048576", name="size"),
)

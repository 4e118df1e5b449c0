"""What points become: purses, rewards and their redemptions."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

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
    # At most this many held or fulfilled a member and calendar month; none: no limit.
    Column("limit_per_month", Integer),
    moment("starts_at"),
    moment("ends_at", nullable=True),
    Column("hold_minutes", Integer, nullable=False),
    words("state"),
    moment("created_at"),
    belongs_to("region_id", "region"),
    CheckConstraint(one_of("kind", "goods", "service", "voucher", "honour"), name="kind"),
    CheckConstraint("price_points > 0", name="price_points"),
    CheckConstraint("stock >= 0", name="stock"),
    CheckConstraint("limit_per_month > 0", name="limit_per_month"),
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
    # Where it was handed over.
    Column("station_id", Uuid),
    belongs_to("member_id", "member"),
    belongs_to("reward_id", "reward"),
    belongs_to("station_id", "station"),
    belongs_to("ended_by", "member"),
    UniqueConstraint("book_id", "number"),
    CheckConstraint(one_of("state", "held", "fulfilled", "cancelled", "timed_out"), name="state"),
    CheckConstraint("(state = 'held') = (ended_at IS NULL)", name="held_has_no_end"),
    CheckConstraint("(state = 'fulfilled') = (station_id IS NOT NULL)", name="fulfilled_somewhere"),
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

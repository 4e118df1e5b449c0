"""Where service happens: the region tree, stations and the devices that show codes or scan cards there."""

from sqlalchemy import (
    ARRAY,
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)

from timebank.tables.base import belongs_to, book_key, id_key, metadata, moment, one_of, words

LEVELS = ("city", "district", "street", "community", "grid", "building", "unit")

region = Table(
    "region",
    metadata,
    book_key(),
    id_key(),
    # The 12-digit national division code; grids and buildings have none.
    Column("code", CHAR(12)),
    words("level"),
    Column("parent_id", Uuid),
    # Every ancestor from the root down to the region itself: "is in the branch of" is `path @> ARRAY[branch]`.
    Column("path", ARRAY(Uuid), nullable=False),
    words("name_zh"),
    words("name_en", nullable=True),
    moment("created_at"),
    belongs_to("parent_id", "region"),
    UniqueConstraint("book_id", "code"),
    CheckConstraint(one_of("level", *LEVELS), name="level"),
    CheckConstraint("code ~ '^[0-9]{12}$'", name="code"),
    CheckConstraint("path[array_upper(path, 1)] = id", name="path_ends_here"),
    CheckConstraint("array_length(path, 1) <= 7", name="depth"),
    Index("region_path_idx", "path", postgresql_using="gin"),
    Index(None, "book_id", "parent_id"),
)

fund = Table(
    "fund",
    metadata,
    book_key(),
    id_key(),
    words("name_zh"),
    words("name_en"),
    Column("region_id", Uuid, nullable=False),
    # The ledger account that pays; its floor is zero, so a fund never promises more than it holds.
    Column("account_id", Uuid, nullable=False),
    moment("created_at"),
    belongs_to("region_id", "region"),
    UniqueConstraint("book_id", "account_id"),
)

service_kind = Table(
    "service_kind",
    metadata,
    book_key(),
    id_key(),
    words("code"),
    words("catalogue"),
    words("name_zh"),
    words("name_en"),
    Column("position", Integer, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    UniqueConstraint("book_id", "code"),
    CheckConstraint(one_of("catalogue", "seven_helps", "four_aids", "community"), name="catalogue"),
)

station = Table(
    "station",
    metadata,
    book_key(),
    id_key(),
    # Small number carried in codes and printed on posters.
    Column("number", Integer, nullable=False),
    Column("region_id", Uuid, nullable=False),
    # The fund that pays for points earned here.
    Column("fund_id", Uuid, nullable=False),
    # What is done here unless the volunteer chooses otherwise.
    Column("service_kind_id", Uuid, nullable=False),
    words("name_zh"),
    words("name_en"),
    words("address"),
    # Order 67 asks every record for the organising unit and the person in charge.
    words("organising_unit"),
    words("person_in_charge"),
    # The longest stay that closes by itself without a check-out.
    Column("cap_minutes", Integer, nullable=False, server_default=text("240")),
    words("state"),
    moment("created_at"),
    # Degrees (WGS 84), where they are known: nobody is at two stations at once.
    Column("latitude", Double),
    Column("longitude", Double),
    belongs_to("region_id", "region"),
    belongs_to("fund_id", "fund"),
    belongs_to("service_kind_id", "service_kind"),
    UniqueConstraint("book_id", "number"),
    CheckConstraint("number BETWEEN 1 AND 1048575", name="number"),
    CheckConstraint("cap_minutes BETWEEN 1 AND 1440", name="cap_minutes"),
    CheckConstraint(one_of("state", "open", "closed"), name="state"),
    CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="whole_position"),
    CheckConstraint("latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name="position"),
    Index(None, "book_id", "region_id"),
)

device = Table(
    "device",
    metadata,
    book_key(),
    id_key(),
    Column("number", Integer, nullable=False),
    Column("station_id", Uuid, nullable=False),
    words("kind"),
    words("name"),
    # A kiosk signs with its own key pair; a manager's screen has none.
    Column("public_key", LargeBinary),
    moment("enrolled_at"),
    moment("revoked_at", nullable=True),
    belongs_to("station_id", "station"),
    UniqueConstraint("book_id", "number"),
    CheckConstraint("number BETWEEN 1 AND 33554431", name="number"),
    CheckConstraint(one_of("kind", "screen", "kiosk", "scanner"), name="kind"),
    Index(None, "book_id", "station_id"),
)

poster = Table(
    "poster",
    metadata,
    book_key(),
    id_key(),
    Column("station_id", Uuid, nullable=False),
    # Printed posters carry this number; a new print revokes the old ones.
    Column("number", Integer, nullable=False),
    moment("printed_at"),
    moment("revoked_at", nullable=True),
    belongs_to("station_id", "station"),
    UniqueConstraint("book_id", "station_id", "number"),
)

card = Table(
    "card",
    metadata,
    book_key(),
    id_key(),
    Column("number", BigInteger, nullable=False),
    Column("member_id", Uuid, nullable=False),
    moment("issued_at"),
    moment("revoked_at", nullable=True),
    belongs_to("member_id", "member"),
    UniqueConstraint("book_id", "number"),
    Index("card_live_key", "book_id", "member_id", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

# When a station expects people. A shift that is full turns nobody away.
shift = Table(
    "shift",
    metadata,
    book_key(),
    id_key(),
    Column("station_id", Uuid, nullable=False),
    Column("service_kind_id", Uuid),
    moment("starts_at"),
    moment("ends_at"),
    # How much earlier or later than planned is still in time, and how long a forgotten check-out is waited for.
    Column("grace_minutes", Integer, nullable=False),
    Column("capacity", Integer),
    words("state"),
    Column("created_by", Uuid, nullable=False),
    moment("created_at"),
    belongs_to("station_id", "station"),
    belongs_to("service_kind_id", "service_kind"),
    belongs_to("created_by", "member"),
    CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    CheckConstraint("grace_minutes BETWEEN 0 AND 240", name="grace_minutes"),
    CheckConstraint("capacity > 0", name="capacity"),
    CheckConstraint(one_of("state", "planned", "cancelled"), name="state"),
    Index(None, "book_id", "station_id", "ends_at"),
)

# A one-time code for a home visit: whoever checks in with it first has it, and it ends with their check-out.
door_code = Table(
    "door_code",
    metadata,
    book_key(),
    id_key(),
    # Keyed hash of the eight digits: the table alone opens no door.
    Column("digits_hash", LargeBinary, nullable=False),
    Column("station_id", Uuid, nullable=False),
    Column("resident_id", Uuid, nullable=False),
    Column("issued_by", Uuid, nullable=False),
    moment("issued_at"),
    moment("expires_at"),
    Column("used_by", Uuid),
    moment("used_at", nullable=True),
    moment("ended_at", nullable=True),
    belongs_to("station_id", "station"),
    belongs_to("resident_id", "member"),
    belongs_to("issued_by", "member"),
    belongs_to("used_by", "member"),
    UniqueConstraint("book_id", "digits_hash"),
    CheckConstraint("(used_by IS NULL) = (used_at IS NULL)", name="used_by_somebody"),
)

"""Pictures of rewards: taken in by their content, kept as our own WebP without anything that came with them.

What is uploaded is never stored and never served. It is decoded, turned upright, made small and encoded anew, so that
neither the place where a photo was made nor anything hidden behind its end gets any further.
"""

import asyncio
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from PIL import Image, ImageOps
from sqlalchemy import and_, any_, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, rewards
from timebank.errors import BankError, NotFound
from timebank.tables import member, region, reward, reward_picture, reward_place, station

SIZE_LIMIT_BYTES = 8 * 1024 * 1024
# Decoded, four bytes each: what one upload may cost of memory.
PIXEL_LIMIT = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
# The longer side as it is kept.
SIDE_PIXELS = 960
QUALITY = 80
MEDIA_TYPE = "image/webp"
# What an upload may be called; what it is, its content says.
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")

# Decoding is the most expensive thing that a request can ask for: one at a time in each process.
decoding = asyncio.Lock()


class PictureUnreadable(BankError):
    """The content is no picture of a kind that is taken."""

    code: ClassVar[str] = "picture_unreadable"


class PictureTooLarge(BankError):
    """The file has too many bytes, or the picture too many pixels."""

    code: ClassVar[str] = "picture_too_large"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is kept: WebP, and its SHA-256 in hex."""

    content: bytes
    width: int
    height: int
    digest: str


async def read(upload: bytes) -> Picture:
    """The picture in an upload, off the event loop. Raises PictureUnreadable or PictureTooLarge."""
    async with decoding:
        return await asyncio.to_thread(decode, upload)


def decode(upload: bytes) -> Picture:
    """The picture in an upload, whatever it is called and said to be."""
    if len(upload) > SIZE_LIMIT_BYTES:
        raise PictureTooLarge()
    try:
        with Image.open(io.BytesIO(upload), formats=FORMATS) as found:
            # The head only has been read; a bomb is refused before it goes off.
            if found.width * found.height > PIXEL_LIMIT:
                raise PictureTooLarge()
            # A JPEG is decoded at a fraction of its size where that is enough.
            found.draft("RGB", (2 * SIDE_PIXELS, 2 * SIDE_PIXELS))
            upright = ImageOps.exif_transpose(found)
            upright.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
            # What has nothing but pixels takes nothing else along.
            mode = "RGBA" if upright.has_transparency_data else "RGB"
            bare = Image.new(mode, upright.size)
            bare.paste(upright.convert(mode))
    except PictureTooLarge:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureTooLarge() from None
    except Exception:
        # Decoders fail in many ways on what was made to break them; whichever it is, this is no picture for us.
        raise PictureUnreadable() from None
    written = io.BytesIO()
    bare.save(written, "WEBP", quality=QUALITY, method=4)
    content = written.getvalue()
    return Picture(content, bare.width, bare.height, hashlib.sha256(content).hexdigest())


async def keep(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    picture: Picture,
    *,
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Give a reward this picture in place of the one it has. `not_found` where the actor administers no such reward."""
    await rewards.require(connection, book_id, reward_id, actor_id, now)
    before = await digest_of(connection, book_id, reward_id)
    if before == picture.digest:
        return
    values = {
        "digest": picture.digest,
        "content": picture.content,
        "width": picture.width,
        "height": picture.height,
        "created_at": now,
    }
    await connection.execute(
        insert(reward_picture)
        .values(book_id=book_id, reward_id=reward_id, **values)
        .on_conflict_do_update(index_elements=["book_id", "reward_id"], set_=values)
    )
    await note(connection, book_id, reward_id, before, picture.digest, now, actor_id)


async def remove(
    connection: AsyncConnection, book_id: int, reward_id: UUID, *, now: datetime, actor_id: UUID | None
) -> None:
    """Take a reward's picture away, for good; nothing happens where there is none. `not_found` as for `keep`."""
    await rewards.require(connection, book_id, reward_id, actor_id, now)
    removed = await connection.execute(
        delete(reward_picture)
        .where(reward_picture.c.book_id == book_id, reward_picture.c.reward_id == reward_id)
        .returning(reward_picture.c.digest)
    )
    before = removed.scalar_one_or_none()
    if before is not None:
        await note(connection, book_id, reward_id, before, None, now, actor_id)


async def note(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    before: str | None,
    after: str | None,
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Write a change of picture into the trail, by its digest."""
    was, is_now = {"picture": before}, {"picture": after}
    await rewards.note(connection, book_id, "reward.picture", reward_id, was, is_now, now, actor_id)


async def digest_of(connection: AsyncConnection, book_id: int, reward_id: UUID) -> str | None:
    """The digest of a reward's picture."""
    query = select(reward_picture.c.digest).where(
        reward_picture.c.book_id == book_id, reward_picture.c.reward_id == reward_id
    )
    digest: str | None = await connection.scalar(query)
    return digest


async def content_of(
    connection: AsyncConnection, book_id: int, reward_id: UUID, digest: str, *, member_id: UUID, now: datetime
) -> bytes:
    """The picture of a reward, for the members whose home is in its region, for its administrators, and for the clerks
    who hand it over; open or closed, because a redemption outlives the offer. `NotFound` for everybody else."""
    home = region.alias()
    at_home = (
        select(member.c.id)
        .join_from(member, home, and_(home.c.book_id == member.c.book_id, home.c.id == member.c.region_id))
        .where(member.c.book_id == reward.c.book_id, member.c.id == member_id, reward.c.region_id == any_(home.c.path))
        .correlate(reward)
        .exists()
    )
    at_counter = (
        select(station.c.id)
        .join_from(
            reward_place,
            station,
            and_(station.c.book_id == reward_place.c.book_id, station.c.id == reward_place.c.station_id),
        )
        .where(
            reward_place.c.book_id == reward.c.book_id,
            reward_place.c.reward_id == reward.c.id,
            access.in_branch(member_id, ("clerk",), now),
        )
        .correlate(reward)
        .exists()
    )
    query = (
        select(reward_picture.c.content)
        .join_from(
            reward_picture,
            reward,
            and_(reward.c.book_id == reward_picture.c.book_id, reward.c.id == reward_picture.c.reward_id),
        )
        .join(region, and_(region.c.book_id == reward.c.book_id, region.c.id == reward.c.region_id))
        .where(
            reward_picture.c.book_id == book_id,
            reward_picture.c.reward_id == reward_id,
            reward_picture.c.digest == digest,
            or_(at_home, at_counter, access.covers_region(member_id, ("admin",), now)),
        )
    )
    content: bytes | None = await connection.scalar(query)
    if content is None:
        raise NotFound(kind="picture")
    return content

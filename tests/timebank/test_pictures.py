"""Pictures of rewards: what is taken in, what is refused, what is left of it, and who may see it."""

import io
import struct
import zlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from PIL import ExifTags, Image
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from timebank import pictures, rewards
from timebank.errors import NotFound
from timebank.keys import Keys
from timebank.pictures import PictureTooLarge, PictureUnreadable
from timebank.tables import audit_entry, reward_picture


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


def painted(kind: str = "JPEG", size: tuple[int, int] = (320, 200), mode: str = "RGB", **more: Any) -> bytes:
    """A picture, red on the left and blue on the right."""
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((30, 30, 200), (size[0] // 2, 0, size[0], size[1]))
    written = io.BytesIO()
    image.convert(mode).save(written, kind, **more)
    return written.getvalue()


def opened(picture: pictures.Picture) -> Image.Image:
    """What is kept, decoded."""
    image = Image.open(io.BytesIO(picture.content))
    image.load()
    assert image.format == "WEBP"
    assert image.size == (picture.width, picture.height)
    return image


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("PNG", "I;16"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
    ],
)
async def test_pictures_of_the_usual_kinds_become_our_own(kind: str, mode: str) -> None:
    source = painted(kind, mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        written = io.BytesIO()
        Image.new("I;16", (320, 200), 40_000).save(written, "PNG")
        source = written.getvalue()
    image = opened(await pictures.read(source))
    assert image.size == (320, 200)
    if mode not in ("L", "1", "I;16"):
        (red, _, blue) = image.convert("RGB").getpixel((20, 100))
        assert red > 120 > blue


async def test_the_same_pixels_have_the_same_digest() -> None:
    first, second = await pictures.read(painted("PNG")), await pictures.read(painted("PNG"))
    assert first == second
    assert len(first.digest) == 64


@pytest.mark.parametrize(("size", "kept"), [((4000, 3000), (960, 720)), ((100, 2000), (48, 960)), ((10, 10), (10, 10))])
async def test_a_large_picture_becomes_small_and_a_small_one_stays(
    size: tuple[int, int], kept: tuple[int, int]
) -> None:
    picture = await pictures.read(painted("JPEG", size))
    assert (picture.width, picture.height) == kept
    assert len(picture.content) < 100_000


async def test_nothing_but_the_pixels_is_left(city: City) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "the house of the Wan family"
    exif[ExifTags.Base.Make] = "a phone"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (28.0, 41.0, 12.0)
    words = b"the house of the Wan family"
    profile = b"\0" * 128 + words
    for kind, more in (
        ("JPEG", {"exif": exif, "icc_profile": profile, "comment": words}),
        ("WEBP", {"exif": exif, "icc_profile": profile, "xmp": words}),
        ("PNG", {"exif": exif, "icc_profile": profile}),
    ):
        source = painted(kind, **more) + words
        assert words in source
        picture = await pictures.read(source)
        for trace in (words, b"EXIF", b"Exif", b"ICCP", b"XMP ", b"a phone"):
            assert trace not in picture.content, kind
        assert set(opened(picture).info) <= {"loop", "background", "timestamp", "duration"}


async def test_a_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = opened(await pictures.read(painted("JPEG", (320, 200), exif=exif)))
    assert image.size == (200, 320)
    red, _, blue = image.convert("RGB").getpixel((100, 20))
    assert red > 120 > blue


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says it has this size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


JPEG = painted()
UNREADABLE = {
    "empty": b"",
    "text": b"a picture of rice",
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "gif": painted("GIF"),
    "bmp": painted("BMP"),
    "tiff": painted("TIFF"),
    "pdf": b"%PDF-1.7\n",
    "zip": b"PK\x03\x04" + b"\0" * 30,
    "jpeg's head alone": JPEG[:20],
    "png's head alone": png(10, 10),
    "png cut off": painted("PNG")[:100],
    "webp cut off": painted("WEBP")[:60],
    "png of nothing": png(0, 0, chunk(b"IDAT", zlib.compress(b""))),
    "png with too few pixels": png(100, 100, chunk(b"IDAT", zlib.compress(b"\0" * 50))),
    "png with a wrong sum": painted("PNG").replace(b"IDAT", b"IDAT\x01", 1),
    "noise": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_picture_is_refused(name: str) -> None:
    with pytest.raises(PictureUnreadable):
        await pictures.read(UNREADABLE[name])


async def test_broken_pictures_are_refused_or_read_and_never_crash() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        source = painted(kind, (64, 48))
        for position in range(0, len(source), max(1, len(source) // 120)):
            broken = bytearray(source)
            broken[position] ^= 0xFF
            try:
                opened(await pictures.read(bytes(broken)))
            except (PictureUnreadable, PictureTooLarge):
                continue


@pytest.mark.parametrize("size", [(6400, 6400), (100_000, 1_000), (2**31 - 1, 2**31 - 1), (1, 40_000_001)])
async def test_a_bomb_is_refused_before_it_goes_off(size: tuple[int, int]) -> None:
    # A few hundred bytes that say they are gigabytes of pixels.
    with pytest.raises(PictureTooLarge):
        await pictures.read(png(*size, chunk(b"IDAT", zlib.compress(b"\0" * 100_000))))


async def test_texts_that_unpack_to_gigabytes_are_refused() -> None:
    text = zlib.compress(b"\0" * (200 * 1024 * 1024), 9)
    bomb = png(10, 10, chunk(b"zTXt", b"Comment\0\0" + text), chunk(b"IDAT", zlib.compress(b"\0" * 110)))
    assert len(bomb) < 300_000
    with pytest.raises(PictureUnreadable):
        await pictures.read(bomb)


async def test_a_file_of_too_many_bytes_is_refused_unread() -> None:
    with pytest.raises(PictureTooLarge):
        await pictures.read(painted() + b"\0" * pictures.SIZE_LIMIT_BYTES)


async def see(connection: AsyncConnection, city: City, reward_id: UUID, digest: str, member_id: UUID) -> bytes:
    return await pictures.content_of(
        connection, city.book_id, reward_id, digest, member_id=member_id, now=MORNING + timedelta(hours=1)
    )


async def test_whoever_is_offered_the_reward_sees_its_picture_and_nobody_else(
    connection: AsyncConnection, city: City
) -> None:
    reward_id = await city.add_reward(connection, region_id=city.district_id)
    picture = await pictures.read(painted())
    await pictures.keep(connection, city.book_id, reward_id, picture, now=MORNING, actor_id=None)
    near = await city.add_member(connection)
    far = await city.add_member(connection, region_id=city.other_community_id)
    admin = await city.add_member(connection, "区管理", region_id=city.other_community_id)
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    clerk = await city.add_member(connection, "核销", region_id=city.other_community_id)
    await city.grant(connection, clerk, "clerk", station_id=city.station.id)
    other = await city.add_member(connection, "外管理", region_id=city.other_community_id)
    await city.grant(connection, other, "admin", region_id=city.other_district_id)
    await city.grant(connection, other, "clerk", region_id=city.other_district_id)
    for member_id in (near, admin, clerk):
        assert await see(connection, city, reward_id, picture.digest, member_id) == picture.content
    for member_id in (far, other, city.new_id()):
        with pytest.raises(NotFound):
            await see(connection, city, reward_id, picture.digest, member_id)
    for digest in ("0" * 64, "", picture.digest[:-1], "x"):
        with pytest.raises(NotFound):
            await see(connection, city, reward_id, digest, near)
    # What was redeemed is still to be recognised when the offer is over.
    await rewards.edit(connection, city.book_id, reward_id, {"state": "closed"}, now=MORNING)
    assert await see(connection, city, reward_id, picture.digest, near) == picture.content


async def test_a_picture_is_changed_and_taken_away_with_a_trail(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection)
    first, second = await pictures.read(painted()), await pictures.read(painted(size=(100, 100)))
    for hour, picture in enumerate((first, first, second, second)):
        now = MORNING + timedelta(hours=hour)
        await pictures.keep(connection, city.book_id, reward_id, picture, now=now, actor_id=None)
    with pytest.raises(NotFound):
        await see(connection, city, reward_id, first.digest, city.clerk_id)
    assert await see(connection, city, reward_id, second.digest, city.clerk_id) == second.content
    for _ in range(2):
        await pictures.remove(connection, city.book_id, reward_id, now=MORNING + timedelta(days=1), actor_id=None)
    kept = select(reward_picture.c.digest).where(reward_picture.c.book_id == city.book_id)
    assert list((await connection.execute(kept)).scalars()) == []
    query = (
        select(audit_entry.c.before, audit_entry.c.after)
        .where(audit_entry.c.subject_id == reward_id, audit_entry.c.action == "reward.picture")
        .order_by(audit_entry.c.at)
    )
    assert [tuple(row) for row in await connection.execute(query)] == [
        ({"picture": None}, {"picture": first.digest}),
        ({"picture": first.digest}, {"picture": second.digest}),
        ({"picture": second.digest}, {"picture": None}),
    ]


async def test_only_the_branch_may_change_a_picture(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection)
    admin = await city.add_member(connection, "区管理")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    picture = await pictures.read(painted())
    with pytest.raises(NotFound):
        await pictures.keep(connection, city.book_id, reward_id, picture, now=MORNING, actor_id=admin)
    with pytest.raises(NotFound):
        await pictures.remove(connection, city.book_id, reward_id, now=MORNING, actor_id=admin)

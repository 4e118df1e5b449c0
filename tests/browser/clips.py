"""What a camera would see of a code: short clips, made from our own picture of it."""

import io
from pathlib import Path

import qrcode
from PIL import Image, ImageFilter
from qrcode.constants import ERROR_CORRECT_Q

WIDTH, HEIGHT = 1280, 720
FRAMES = 12
WALL = (188, 182, 170)


def printed(text: str, pixels: int) -> Image.Image:
    """The code on white paper, about so many pixels wide."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=4)
    code.add_data(text)
    code.make(fit=True)
    picture: Image.Image = code.make_image().get_image().convert("RGB")
    return picture.resize((pixels, pixels), Image.Resampling.LANCZOS)


def record(
    path: Path, text: str, *, pixels: int = 420, tilt: float = 0.0, blur: float = 0.0, keystone: int = 0
) -> Path:
    """A clip of a hand that holds the code up and trembles. Motion JPEG is one picture after the other."""
    paper = printed(text, pixels)
    if keystone:
        # Seen from the side: the far edge is shorter.
        corners = (-keystone, -keystone, 0, pixels, pixels, pixels, pixels + keystone, -keystone)
        paper = paper.transform(paper.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=WALL)
    frames = []
    for number in range(FRAMES):
        sway = (number % 4) - 1.5
        turned = paper.rotate(tilt + sway, Image.Resampling.BICUBIC, expand=True, fillcolor=WALL)
        frame = Image.new("RGB", (WIDTH, HEIGHT), WALL)
        frame.paste(turned, ((WIDTH - turned.width) // 2 + int(3 * sway), (HEIGHT - turned.height) // 2))
        written = io.BytesIO()
        frame.filter(ImageFilter.GaussianBlur(blur)).save(written, "JPEG", quality=80)
        frames.append(written.getvalue())
    path.write_bytes(b"".join(frames))
    return path

"""Writes the slides of the lecture, with the lecturer in a corner: python make_slides.py"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
SIZE = (1280, 720)
PORTRAIT = 288
INK, PAPER = (28, 34, 48), (246, 243, 236)
SLIDES = {
    "slide_1": ("Sense and Sensibility", ["Jane Austen, 1811", "Chapter 1: the brother"]),
    "slide_2": ("What might have been", ["More amiable himself", "Irony, and its grammar"]),
}


def slide(title: str, lines: list[str]) -> Image.Image:
    """A slide with its title, its lines, and the portrait in the lower right corner."""
    page = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, SIZE[0], 12), fill=(46, 92, 138))
    draw.text((80, 80), title, fill=INK, font=ImageFont.load_default(64))
    for index, line in enumerate(lines):
        draw.text((80, 220 + 80 * index), f"-  {line}", fill=INK, font=ImageFont.load_default(36))
    portrait = Image.open(HERE.parent / "ada.png").convert("RGB").resize((PORTRAIT, PORTRAIT))
    page.paste(portrait, (SIZE[0] - PORTRAIT - 32, SIZE[1] - PORTRAIT - 32))
    return page


if __name__ == "__main__":
    for name, (title, lines) in SLIDES.items():
        slide(title, lines).save(HERE / f"{name}.png", optimize=True)

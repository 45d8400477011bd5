"""The encodings of text that people bring: UTF-8, what Excel and Notepad write, and older ones."""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

from charset_normalizer import from_bytes
from langcodes import Language

SAMPLE_BYTES = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins alike
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = {
    "ru": "cp1251", "uk": "cp1251", "be": "cp1251", "bg": "cp1251", "mk": "cp1251", "sr": "cp1251",
    "cs": "cp1250", "sk": "cp1250", "pl": "cp1250", "hu": "cp1250", "ro": "cp1250", "hr": "cp1250",
    "sl": "cp1250", "sq": "cp1250", "bs": "cp1250", "el": "cp1253", "tr": "cp1254", "az": "cp1254",
    "he": "cp1255", "ar": "cp1256", "fa": "cp1256", "ur": "cp1256", "et": "cp1257", "lt": "cp1257",
    "lv": "cp1257", "vi": "cp1258", "th": "cp874", "ja": "cp932", "ko": "cp949", "zh": "gb18030",
}  # fmt: skip
"""What Windows wrote before UTF-8, by language; Windows-1252 for all others."""
_GUESSED = ("cp1251", "cp1253", "cp1255", "cp1256", "cp932", "cp949", "gb18030", "big5")
_ENOUGH = 8  # bytes beyond ASCII below which a guess of the script would be a coin toss
_VALID = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_LATIN = re.compile(rb"[A-Za-z]")
_WORDS = {"cp932": "Shift-JIS", "cp949": "EUC-KR", "gb18030": "GBK", "big5": "Big5"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text, and what to tell the user about it.

    With `errors="surrogateescape"`, bytes that are damaged stay recognizable in the text.
    """

    name: str
    errors: str = "strict"
    note: str = ""

    def decode(self, content: bytes) -> str:
        """Decode a whole text."""
        return content.decode(self.name, "replace" if self.errors == "strict" else self.errors)


def encoding_of(blocks: Iterable[bytes], language: str | None = None) -> Encoding:
    """Find the encoding of a text; `language` helps where a guess has to be made."""
    sample, decoder, is_utf8 = b"", codecs.getincrementaldecoder("utf-8")(), True
    for block in blocks:
        sample += block[: SAMPLE_BYTES - len(sample)]
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            is_utf8, damaged = False, block[max(error.start - 64, 0) :][:SAMPLE_BYTES]
            sample += b"" if damaged in sample else damaged
            break
    for mark, name in _MARKS:
        if sample.startswith(mark):
            errors = "surrogateescape" if name == "utf-8-sig" and not is_utf8 else "strict"
            return Encoding(name, errors)
    if name := _unmarked_utf16(sample[:4096]):
        return Encoding(name)
    if is_utf8:
        return Encoding("utf-8")
    if 2 * len(_VALID.findall(sample)) > len(_HIGH.findall(_VALID.sub(b"", sample))):
        return Encoding("utf-8", "surrogateescape")
    name = _legacy(sample, language)
    words = _WORDS.get(name, name.replace("cp", "Windows-"))
    # A byte that means nothing there is one bad row, and no reason to refuse the others.
    return Encoding(
        name,
        "surrogateescape",
        note=f"not in UTF-8: read as {words}; if letters are wrong, save as UTF-8",
    )


def _unmarked_utf16(sample: bytes) -> str:
    """UTF-16 without a mark has a NUL in every other place, as long as it is Latin."""
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = sample[first::2]
        if len(half) >= 4 and 2 * half.count(0) > len(half) and not sample[1 - first :: 2].count(0):
            return name
    return ""


def _legacy(sample: bytes, language: str | None) -> str:
    """Guess the code page of Windows that a text was written with."""
    if language and (name := _LEGACY.get(Language.get(language).language or "")):
        return name
    num_high = len(_HIGH.findall(sample))
    if language is None and num_high >= _ENOUGH and 2 * num_high > len(_LATIN.findall(sample)):
        best = from_bytes(sample[: 1 << 16], cp_isolation=["cp1252", *_GUESSED]).best()
        if best is not None and best.encoding in _GUESSED:
            return best.encoding
    return "cp1252"

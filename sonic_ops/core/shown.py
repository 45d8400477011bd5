"""Text for people, logs and tables: without passwords, and without what a terminal obeys."""

import re

_WEB_QUERY = re.compile(r'(https?://[^\s?"\\]+)\?[^\s"\\]+', re.IGNORECASE)
_WEB_USER = re.compile(r'(https?://)[^/\s"\\]+@', re.IGNORECASE)
_PASSWORD = re.compile(r'(://)[^/\s@:"\\]*:[^/\s"\\]*@')
_SECRET = re.compile(
    r"([?&][^=\s&]*(?:sig|token|secret|passw|credential|key)[^=\s&]*=)[^&\s\"\\]+", re.IGNORECASE
)
_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def without_secrets(text: str) -> str:
    """Hide the passwords in all URLs of a text, and what follows the `?` of web links."""
    if "://" not in text:
        return text
    text = _WEB_QUERY.sub(r"\1?...", text)
    text = _WEB_USER.sub(r"\1***@", text)
    return _SECRET.sub(r"\1...", _PASSWORD.sub(r"\1***@", text))


def in_one_line(text: str) -> str:
    r"""Show what a terminal would obey as escapes, such as `\n`, `\x1b` and marks of direction."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

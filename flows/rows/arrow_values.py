"""Values of Arrow as values of Python, also those that Python has no type for."""

import re
from typing import Any

import pyarrow as pa

_OUT_OF_RANGE = re.compile(r"<value out of range: (-?\d+)>")


def python_values(column: pa.Array) -> list[Any]:
    """Convert a column; times that `datetime` cannot hold become text, and bytes of UTF-8 too."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, KeyError):  # nanoseconds, years past 9999, unknown zones
        values = [_python_value(value) for value in column]
    is_binary = getattr(pa.types, "is_binary_view", pa.types.is_binary)(kind) or (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )
    if is_binary or pa.types.is_fixed_size_binary(kind):
        return [_text(value) for value in values]
    return values


def _python_value(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.DictionaryScalar):
        return _python_value(value.value)
    if isinstance(value, pa.StructScalar):
        return {name: _python_value(part) for name, part in value.items()}
    if isinstance(value, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
        return [_python_value(part) for part in value.values]
    try:
        return value.as_py()
    except (ValueError, OverflowError, KeyError):
        return _nearly(value)


def _nearly(value: pa.Scalar) -> Any:
    if hasattr(value, "as_buffer"):  # a text that is not UTF-8
        return bytes(value.as_buffer())
    return _nearly_time(value)


def _nearly_time(value: pa.Scalar) -> Any:
    """Return a time of day or a duration without its nanoseconds.

    Other times as text, all digits.
    """
    kind = value.type
    if pa.types.is_time64(kind):
        return value.cast(pa.time64("us"), safe=False).as_py()
    if pa.types.is_duration(kind):
        return value.cast(pa.duration("us"), safe=False).as_py()
    try:
        text = str(value.cast(pa.string()).as_py())
    except pa.ArrowException:  # an unknown time zone
        return str(value.value)
    found = _OUT_OF_RANGE.fullmatch(text)
    return found[1] if found else text


def _text(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value

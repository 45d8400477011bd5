"""Facts of the tables that commands write into pages."""

from pathlib import Path

import pytest

from tests.bench.tables import write_table

PAGE = "# Speed\n\n<!-- speed: made by `make bench` -->\n| old |\n<!-- /speed -->\n\nMore.\n"


def test_what_stands_between_the_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    lines = ["| a | b |", "| --- | --- |", r"| \1 | § |"]
    for _ in range(2):
        write_table(page, "speed", lines)
        assert page.read_text("utf-8") == PAGE.replace("| old |", "\n".join(lines))
    write_table(page, "speed", [])
    assert page.read_text("utf-8") == PAGE.replace("| old |\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        PAGE.replace("<!-- /speed -->", ""),
        PAGE.replace("<!-- speed:", "<!-- speeds:"),
        PAGE + PAGE,
        "<!-- /speed -->\n<!-- speed -->\n",
    ],
)
def test_a_page_without_both_marks_is_an_error_and_stays_as_it_is(
    tmp_path: Path, text: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"page.md needs one line <!-- speed -->"):
        write_table(page, "speed", ["| new |"])
    assert page.read_text("utf-8") == text

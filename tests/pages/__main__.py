"""Write all pages."""

from tests.pages.errors import errors_page
from tests.pages.keys import keys_page
from tests.pages.source import write

if __name__ == "__main__":
    write(keys_page())
    write(errors_page())

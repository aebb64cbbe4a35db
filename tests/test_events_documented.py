"""docs/events.md names every event, field and action there is, as the code says it, and none that is not."""

from tests.events_page import PAGE, page


def test_the_page_says_what_the_code_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "make pages writes it anew from the docstrings"

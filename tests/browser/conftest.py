"""One browser for all tests of a module; each page starts with nothing and may ask nobody but this machine."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.browser.devtools import Page, browser

Opener = Callable[[], Awaitable[Page]]


@pytest.fixture(scope="module")
async def chrome(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opener]:
    """Return how to open a page."""
    async with browser(tmp_path_factory.mktemp("browser")) as open_page:
        yield open_page


@pytest.fixture
async def page(chrome: Opener) -> AsyncIterator[Page]:
    """Open a page; at the end nothing it asked for may have lain beyond this machine."""
    opened = await chrome()
    yield opened
    opened.close()
    assert opened.requests
    assert opened.foreign() == []

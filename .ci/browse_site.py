"""Looks at the built site in a browser without a window: `python .ci/browse_site.py build/site [--browser /usr/bin/chromium]`.

Each page loads without an error or a file that is missing, light and dark, and fits a phone; its text stands out from its ground; code
has a button that copies it; a search finds each of `WORDS` (check_site.py) on the page where it belongs. Exit status 1 with a line for
each finding, 3 where there is no browser. Needs playwright, and its Chromium or one of the system.
"""

import argparse
import functools
import http.server
import pathlib
import shutil
import sys
import threading
from collections.abc import Iterator

from check_site import WORDS
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CONTRAST = 4.5  # of text to its ground, by WCAG 2 AA
NO_BROWSER = 3
SECONDS = 180  # for a page to load, on a busy machine

_CONTRAST = """() => {
    const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const c = numbers(getComputedStyle(node).backgroundColor);
            if (c.length < 4 || c[3] === 1) return c;
        }
        return [255, 255, 255];
    };
    let worst = 99;
    for (const node of document.querySelectorAll('article p, article li, article h1, article pre')) {
        const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
        worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
    }
    return worst;
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *what: object) -> None:
        """Says nothing of each request."""


def served(site: pathlib.Path) -> str:
    """The address at which the folder is served, to this machine alone, until the process ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def findings(site: pathlib.Path, browser: Browser, only: str) -> Iterator[str]:
    """What is wrong, a line each. only: a pattern of the pages to look at; searches are tried on all."""
    address = served(site)
    names = sorted(f.relative_to(site).as_posix() for f in site.rglob(only))
    names = [name for name in names if not name.startswith("_modules/")]  # listings of the source
    for scheme, size in (("light", DESK), ("dark", PHONE)):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        page, said = _opened(context, address)
        for name in names:
            said.clear()
            page.goto(f"{address}/{name}")
            yield from (f"{name}, {scheme}: {text}" for text in said)
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > size["width"]:
                yield f"{name}: {wide} pixels wide on a screen of {size['width']}"
            contrast = page.evaluate(_CONTRAST)
            if contrast < CONTRAST:
                yield f"{name}, {scheme}: text has a contrast of {contrast:.1f} to its ground; at least {CONTRAST}"
        context.close()
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page, _ = _opened(context, address)
    yield from _copied(page, address)
    yield from _searched(page, address)
    context.close()


def _opened(context: BrowserContext, address: str) -> tuple[Page, list[str]]:
    """(a page, what will be said of errors on it). Nothing is fetched from elsewhere, such as the script that sets formulas."""
    context.set_default_timeout(SECONDS * 1000)
    context.route(lambda url: not url.startswith((address, "data:")), lambda route: route.abort())
    page, said = context.new_page(), []
    own = lambda url: url.startswith(address)
    page.on("console", lambda m: said.append(m.text) if m.type == "error" and own(m.location["url"]) else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"{request.url} was not had") if own(request.url) else None)
    return page, said


def _copied(page: Page, address: str) -> Iterator[str]:
    """Each block of code of a guide has a button; that of the first copies it."""
    page.goto(f"{address}/ten_minutes.html")
    blocks = page.locator("div.highlight pre")
    buttons = page.locator("button.copybtn")
    if blocks.count() != buttons.count() or not buttons.count():
        yield f"ten_minutes.html: {blocks.count()} blocks of code, {buttons.count()} buttons that copy"
        return
    blocks.first.hover()
    buttons.first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    if copied.strip() != blocks.first.inner_text().strip():
        yield f"ten_minutes.html: the button copied {copied!r}"


def _searched(page: Page, address: str) -> Iterator[str]:
    for word, where in WORDS.items():
        page.goto(f"{address}/search.html?q={word}")
        links = page.locator("ul.search li a")
        try:
            page.wait_for_function("document.querySelector('.search-summary')?.textContent.match(/found|did not match/)")
        except Error:
            yield f"the search for {word!r} does not end"
            continue
        found = [links.nth(i).get_attribute("href") or "" for i in range(min(links.count(), 20))]
        if not any(where in link for link in found):
            yield f"the search for {word!r} does not show {where} among its first twenty, but {found[:4]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"), help="its program")
    parser.add_argument(
        "--only", default="*.html", metavar="PATTERN", help="look at pages of this name only, as 'mlkit.ops*.html'"
    )
    options = parser.parse_args()
    with sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=options.browser, args=["--no-sandbox", "--disable-gpu"])
        except Error as error:
            print(f"No browser: {str(error).splitlines()[0]} (apt-get install chromium, or playwright install chromium)")
            return NO_BROWSER
        found = list(findings(options.site, browser, options.only))
        browser.close()
    print("\n".join(found) or "The site is well in a browser.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

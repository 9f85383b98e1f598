"""The built site in a real browser: headless Chromium, at the widths of a laptop and a phone.

    python docs/look.py [build/docs/html] [FOLDER for screenshots]

Opens each page in light and in dark, and prints console errors, pictures that don't load, and pages
that are wider than the window; searches for SoftmaxClassifier. Saves a picture of each. Exit
status 1 where something is wrong. Whether it is ugly has to be looked at. Needs Chromium, its
driver (Debian's packages chromium and chromium-driver) and selenium, and no network: the site is
served from this process. Not part of any test run.
"""

import base64
import functools
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = {"laptop": (1366, 768), "phone": (390, 844)}

#: As long as a picture may be that a person looks at.
TALLEST = 4000

#: What is beyond the right edge of the text, and isn't in a box that scrolls.
OVERFLOW = """
const article = document.querySelector("article") || document.body;
const edge = article.getBoundingClientRect().right + 1;
const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
const isHeld = (e) => e !== document.body && (scrolls(e) || isHeld(e.parentElement));
const isBeyond = (e) => e.checkVisibility({ visibilityProperty: true }) &&
  e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().right > edge;
return [...article.querySelectorAll("*")]
  .filter((e) => isBeyond(e) && !isHeld(e.parentElement))
  .slice(0, 3).map((e) => e.outerHTML.slice(0, 100));
"""
BROKEN = """
return [...document.images].filter((i) => !(i.complete && i.naturalWidth)).map((i) => i.src);
"""
LOAD_ALL = "document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; });"


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing of each request."""

    def log_message(self, *args):
        """Nothing."""


def browser():
    """Chromium without a window, whose console is kept."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    return webdriver.Chrome(options, service)


def look(driver, url, size, scheme):
    """What is wrong with a page at a size, light or dark, and a picture of it."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(url)
    driver.execute_script(LOAD_ALL)
    waiting = WebDriverWait(driver, 10)
    waiting.until(lambda d: d.execute_script("return document.readyState") == "complete")
    waiting.until(lambda d: d.execute_script("return [...document.images].every(i => i.complete)"))
    wrong = [f"picture {src}" for src in driver.execute_script(BROKEN)]
    if driver.execute_script("return document.documentElement.scrollWidth") > width:
        wrong.append(f"wider than {width}")
    wrong += [f"beyond the edge: {element}" for element in driver.execute_script(OVERFLOW)]
    wrong += [
        f"console: {entry['message']}"
        for entry in driver.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING")
    ]
    shown = driver.execute_script("return document.documentElement.dataset.theme")
    if shown != scheme:
        wrong.append(f"shown in {shown} where {scheme} was asked for")
    tall = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(tall, TALLEST), "scale": 1}
    asked = {"captureBeyondViewport": True, "clip": clip}
    return wrong, base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])


def search(driver, url, word):
    """What is wrong with the search for a word."""
    driver.get(f"{url}/search.html?q={word}")
    WebDriverWait(driver, 30).until(
        lambda d: d.find_elements(By.CSS_SELECTOR, "#search-results ul.search li a")
    )
    found = [
        a.get_attribute("href")
        for a in driver.find_elements(By.CSS_SELECTOR, "#search-results ul.search li a")
    ]
    print(f"search for {word}: {len(found)} found, first {found[0].removeprefix(url)}")
    first = f"{url}/api/fastsoftmax.{word}.html"
    return [] if found[0].startswith(first) else [f"{word} is not the first found"]


def main(folder, pictures):
    """Look at every page."""
    folder = folder.resolve()
    pages = [page for page in sorted(folder.rglob("*.html")) if "_static" not in page.parts]
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    pictures.mkdir(parents=True, exist_ok=True)
    n_wrong = 0
    with browser() as driver:
        for page in pages:
            name = page.relative_to(folder).with_suffix("").as_posix()
            for device, size in WIDTHS.items():
                for scheme in ("light", "dark"):
                    wrong, picture = look(driver, f"{url}/{name}.html", size, scheme)
                    saved = pictures / f"{name.replace('/', '-')}-{device}-{scheme}.png"
                    saved.write_bytes(picture)
                    for what in wrong:
                        print(f"{name}, {device}, {scheme}: {what}")
                    n_wrong += len(wrong)
        n_wrong += len(search(driver, url, "SoftmaxClassifier"))
    server.shutdown()
    print(f"{len(pages)} pages, {n_wrong} things wrong; pictures in {pictures}")
    sys.exit(bool(n_wrong))


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*given, *[Path("build/docs/html"), Path("build/docs/screenshots")][len(given) :])

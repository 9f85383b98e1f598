"""Whether each link and picture within a built site leads somewhere, parts of pages included.

    python docs/check_links.py build/docs/html

Prints each that doesn't, with its page, and exits with 1 where there is one. Links to other sites
are not followed, so that no network is needed: `python -m sphinx -b linkcheck` does that. Called by
`make docs`.
"""

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page refers to, and which of its parts can be referred to."""

    def __init__(self):
        super().__init__()
        self.references, self.parts = [], {""}

    def handle_starttag(self, tag, attrs):
        """Keep the links and the names of an element."""
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.references.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.parts.add(value)


@cache
def parsed(path):
    """The page of a file."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(path):
    """What a page refers to in vain."""
    for reference in parsed(path).references:
        url = urlsplit(reference)
        if url.scheme or url.netloc:
            continue
        target = (path.parent / unquote(url.path)).resolve() if url.path else path
        if target.is_dir():
            target /= "index.html"
        is_there = target.is_file()
        if is_there and target.suffix == ".html":
            is_there = unquote(url.fragment) in parsed(target).parts
        if not is_there:
            yield reference


def main(folder):
    """Look at all pages of a folder."""
    pages = [
        page for page in sorted(folder.resolve().rglob("*.html")) if "_static" not in page.parts
    ]
    if not pages:
        sys.exit(f"{folder} has no pages")
    wrong = [(page.relative_to(folder.resolve()), link) for page in pages for link in broken(page)]
    for page, link in wrong:
        print(f"{page}: {link} leads nowhere")
    n_links = sum(len(parsed(page).references) for page in pages)
    print(f"{len(pages)} pages, {n_links} links, {len(wrong)} of them broken")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

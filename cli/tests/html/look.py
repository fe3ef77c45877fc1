"""Checks pages of --format html, for cli/tests/html/run:

  look.py OUT NAME...     checks OUT/NAME.html, and writes pictures and a PDF beside it

Prints a line for each check. The exit status is 1 if a check fails. EXPECTED has texts of each page.
"""

import re
import sys
import tempfile
import traceback

import html5lib
from PIL import Image

from browser import Browser

EXPECTED = {
    "inspect": ["Load, step by step", "apply_alternatives", "part_in_flight", ".klp.rela.vmlinux.__jump_table"],
    "check": ["Accepted", "coming:demo_disk", "0xffffffffc0a12040", "All early relocations are written"],
    "kernel-set": ["60 rejected, 1 accepted", "version magic 6.12.0-demo", "6.12.60"],
    "big": ["Load, step by step", "apply_returns", "__mcount_loc"],
}
LIGHT, DARK = (0xFC, 0xFC, 0xFD), (0x14, 0x17, 0x1C)

HTML = "{http://www.w3.org/1999/xhtml}"
# Attributes and elements that make a browser fetch something.
FETCHES = {"src", "srcset", "data", "action", "formaction", "poster", "ping", "{http://www.w3.org/1999/xlink}href"}
TAGS = {"link", "iframe", "object", "embed", "img", "image", "use", "base", "audio", "video", "source", "form"}

failed = False


def check(what, function, *arguments):
    """Prints the result of a check, or its failure."""
    global failed
    try:
        print(f"{what}: ok, {function(*arguments)}")
    except Exception:
        failed = True
        print(f"FAILED: {what}\n{traceback.format_exc(limit=-1)}")


def elements(tree):
    return [element for element in tree.iter() if isinstance(element.tag, str)]


def named(tree, *tags):
    return [element for element in elements(tree) if element.tag in [HTML + tag for tag in tags]]


def text_of(tree):
    """The text of the page, without the additions of the script."""
    parts = []

    def walk(element):
        if element.tag not in (HTML + "style", HTML + "script", HTML + "label"):
            parts.append(element.text or "")
            for child in element:
                if isinstance(child.tag, str):
                    walk(child)
                parts.append(child.tail or "")

    walk(tree)
    return re.sub(r"\s+", " ", "".join(parts)).strip()


def is_valid(text):
    tree = html5lib.HTMLParser(strict=True).parse(text)
    every = elements(tree)
    ids = [element.get("id") for element in every if element.get("id")]
    assert len(ids) == len(set(ids)), "an anchor exists twice"
    links = [element.get("href") for element in every if element.get("href")]
    for link in links:
        assert link.startswith("#") and link[1:] in set(ids), f"{link} has no target"
    return f"{len(links)} links to {len(ids)} anchors"


def is_self_contained(text):
    tree = html5lib.parse(text)
    for element in elements(tree):
        assert not FETCHES & set(element.attrib), f"{element.tag} has {element.attrib}"
        assert element.tag.split("}")[-1] not in TAGS, element.tag
        assert not element.get("style"), f"{element.tag} has a style attribute"
    style = "".join(element.text or "" for element in named(tree, "style"))
    assert style and "url(" not in style and "@import" not in style
    return "nothing to fetch"


def is_accessible(text):
    tree = html5lib.parse(text)
    levels = [int(element.tag[-1]) for element in named(tree, "h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1 and levels[0] == 1, levels
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), "a level of headings is missing"
    tables = named(tree, "table")
    for table in tables:
        columns = [cell for cell in table.iter(HTML + "th") if cell.get("scope") == "col"]
        rows = [row for row in table.iter(HTML + "tr")]
        assert all(len(list(row)) == len(columns) for row in rows), "a row has other columns than its header"
    drawings = [element for element in elements(tree) if element.tag.endswith("}svg") and element.get("role")]
    assert all(drawing.get("aria-label") for drawing in drawings), "a drawing without a name"
    shapes = [element for element in elements(tree) if element.tag.endswith("}a") and not "".join(element.itertext()).strip()]
    assert all(shape.get("aria-label") for shape in shapes), "a link without a name"
    assert tree.get("lang") == "en"
    return f"{len(levels)} headings, {len(tables)} tables, {len(drawings)} drawings"


def shows(browser, path, expected, scripts):
    fetched, complaints = browser.open(path, scripts=scripts)
    assert fetched == [f"file://{path}"], fetched
    assert not complaints, complaints
    with open(path, encoding="utf-8") as file:
        wanted = text_of(html5lib.parse(file.read()))
    made = html5lib.parse(browser.document())
    text = text_of(made)
    assert text == wanted, "the browser shows another text than the page"
    assert all(part in text for part in expected), [part for part in expected if part not in text]
    filters = [label for label in named(made, "label") if label.get("class") == "filter"]
    assert bool(filters) == scripts, f"{len(filters)} filters"
    return f"{len(text)} characters, {len(filters)} filters, nothing fetched"


def looks(browser, path, picture, background, **how):
    browser.open(path, **how)
    width, height = browser.size()
    assert width <= how.get("width", 1300), f"{width} pixels wide: wider than the screen"
    browser.picture(picture)
    image = Image.open(picture).convert("RGB")
    colours = sorted(image.getcolors(1 << 24), reverse=True)
    most, colour = colours[0]
    share = most / (image.width * image.height)
    assert len(colours) > 200, f"{len(colours)} colours: is it blank?"
    assert colour == background, f"the background is {colour}"
    assert share < 0.97, f"{share:.3f} of it is background"
    return f"{width}x{height}, {len(colours)} colours"


def prints(browser, path, paper):
    browser.open(path)
    pages = len(re.findall(rb"/Type ?/Page\b", browser.paper(paper)))
    assert pages >= 2, f"{pages} pages"
    return f"{pages} pages"


def main(out, *names):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        for name in names:
            path = f"{out}/{name}.html"
            with open(path, encoding="utf-8") as file:
                text = file.read()
            check(f"{name}, valid HTML5 and links", is_valid, text)
            check(f"{name}, self-contained", is_self_contained, text)
            check(f"{name}, accessible", is_accessible, text)
            check(f"{name}, in the browser", shows, browser, path, EXPECTED[name], True)
            check(f"{name}, without scripts", shows, browser, path, EXPECTED[name], False)
            check(f"{name}, light", looks, browser, path, f"{out}/{name}-light.png", LIGHT)
            dark = {"dark": True, "scripts": False}
            check(f"{name}, dark without scripts", lambda: looks(browser, path, f"{out}/{name}-dark.png", DARK, **dark))
            check(f"{name}, narrow", lambda: looks(browser, path, f"{out}/{name}-narrow.png", LIGHT, width=420))
            check(f"{name}, on paper", prints, browser, path, f"{out}/{name}.pdf")
        browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

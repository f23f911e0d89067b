# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at pages of proofs with a real Chromium: ``python3 tests/browser/shots.py PAGE.html...``.

Each page's proof lies beside it, as PAGE.json, and its pictures go there too. Reads the matrix from the DOM as Chromium
parsed it and compares it with the proof, checks that neither the page nor a table is wider than the room that it has
and that no label of the matrix is cut off, and takes pictures at two widths, light and dark, and a PDF of its print.
Standard library only. One line for each page says what was found; the exit code is 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import html.parser
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

WIDTHS = (400, 1280)
SCHEMES = ("light", "dark")
# A page of 50 members on a slow machine.
TIMEOUT_SECONDS = 120.0
# Chromium's pictures can't be higher.
HIGHEST = 16000
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# How many tables are wider than their room, and how many labels reach out of the picture that they stand in.
WIDE_TABLES = "[...document.querySelectorAll('table')].filter(t => t.offsetWidth > t.parentNode.clientWidth).length"
CUT_LABELS = """[...document.querySelectorAll('.matrix text')].filter(text => {
    const own = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect();
    return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1 || own.bottom > all.bottom + 1;
}).length"""

Matrix = dict[tuple[str, str, str], str]


class PageError(Exception):
    """What is wrong with the page, or with looking at it, in one line."""


class _Reader(html.parser.HTMLParser):
    """The pairs from their data attributes, and how many scripts there are."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[tuple[str, str, str], str]] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.scripts += tag == "script"
        if "data-from" in values:
            key = (values["data-from"], values["data-to"], values["data-case"])
            self.pairs.append((key, values["data-verdict"]))


def compare(dom: str, proof: dict[str, t.Any]) -> int:
    """How many pairs the page shows, all of them as the proof has them."""
    reader = _Reader()
    reader.feed(dom)
    shown = dict(reader.pairs)
    wanted: Matrix = {(pair["from"], pair["to"], pair["case"]): pair["verdict"] for pair in proof["pairs"]}
    if reader.scripts:
        raise PageError(f"{reader.scripts} scripts are in the page, none is wanted")
    if len(shown) != len(reader.pairs):
        raise PageError(f"{len(reader.pairs) - len(shown)} pairs are in the page twice")
    wrong = sorted(key for key in wanted.keys() | shown.keys() if wanted.get(key) != shown.get(key))
    if wrong:
        key = wrong[0]
        raise PageError(
            f"{len(wrong)} pairs are not as the proof has them, the first is {' '.join(key)}:"
            f" proof {wanted.get(key)}, page {shown.get(key)}"
        )
    return len(wanted)


def _profile() -> tempfile.TemporaryDirectory[str]:
    # A process of Chromium's may still write while the folder goes.
    return tempfile.TemporaryDirectory(prefix="ringfence-browser-", ignore_cleanup_errors=True)


class Browser:
    """A Chromium driven by its DevTools protocol over two pipes: any width, colour scheme and medium.

    Its command line alone can't make a window narrower than 500 pixels, nor choose the colour scheme.
    """

    def __init__(self, chromium: str, profile: str) -> None:
        self._buffer = b""
        self._number = 0
        self._session = ""
        take, self._write = os.pipe()
        self._read, give = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4. Both are first moved out of the way of the other.
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import fcntl, os, sys\n"
                "take, give = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])\n"
                "os.dup2(take, 3); os.dup2(give, 4)\n"
                "os.execvp(sys.argv[3], sys.argv[3:])",
                str(take),
                str(give),
                chromium,
                *FLAGS,
                f"--user-data-dir={profile}",
                "--remote-debugging-pipe",
                "about:blank",
            ],
            pass_fds=(take, give),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(take)
        os.close(give)

    @contextlib.contextmanager
    def opened(self, page: pathlib.Path) -> t.Iterator[None]:
        """A tab of its own with the page in it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.navigate", url=page.as_uri())
        self._message(lambda message: message.get("method") == "Page.loadEventFired")
        yield
        self._session = ""
        self.call("Target.closeTarget", targetId=target)

    def call(self, method: str, **params: t.Any) -> dict[str, t.Any]:
        self._number += 1
        number = self._number
        message: dict[str, t.Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        with contextlib.suppress(BrokenPipeError):  # the answer that does not come says it
            os.write(self._write, json.dumps(message).encode() + b"\0")
        answer = self._message(lambda message: message.get("id") == number)
        if "error" in answer:
            raise PageError(f"Chromium refused {method}: {answer['error'].get('message')}")
        return t.cast("dict[str, t.Any]", answer["result"])

    def value(self, expression: str) -> t.Any:
        return self.call("Runtime.evaluate", expression=expression)["result"]["value"]

    def number(self, expression: str) -> int:
        return int(self.value(expression))

    def _message(self, is_wanted: t.Callable[[dict[str, t.Any]], bool]) -> dict[str, t.Any]:
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:
            while b"\0" in self._buffer:
                line, self._buffer = self._buffer.split(b"\0", 1)
                message = json.loads(line)
                if is_wanted(message):
                    return t.cast("dict[str, t.Any]", message)
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise PageError(f"Chromium gave no answer in {TIMEOUT_SECONDS:.0f} s")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise PageError("Chromium ended before its answer")
            self._buffer += data

    def close(self) -> None:
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)


def take_pictures(browser: Browser, page: pathlib.Path) -> int:
    """Pictures of the whole page at each width and scheme, and its print, beside it; how many files."""
    files = 0
    for scheme in SCHEMES:
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", media="screen", features=feature)
        for width in WIDTHS:
            metrics = {"width": width, "deviceScaleFactor": 1, "mobile": False}
            browser.call("Emulation.setDeviceMetricsOverride", height=800, **metrics)
            wide = browser.number("document.documentElement.scrollWidth")
            if wide > width:
                raise PageError(f"the page is {wide} pixels wide in a window of {width}")
            for what, count in (("tables are too wide", WIDE_TABLES), ("labels are cut off", CUT_LABELS)):
                found = browser.number(count)
                if found:
                    raise PageError(f"in a window of {width} pixels {found} {what}")
            height = min(browser.number("document.documentElement.scrollHeight"), HIGHEST)
            browser.call("Emulation.setDeviceMetricsOverride", height=height, **metrics)
            picture = browser.call("Page.captureScreenshot", format="png")["data"]
            page.with_name(f"{page.stem}-{width}-{scheme}.png").write_bytes(base64.b64decode(picture))
            files += 1
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
    browser.call("Emulation.clearDeviceMetricsOverride")
    # A4 in inches, which is what the protocol wants.
    printed = browser.call("Page.printToPDF", printBackground=True, paperWidth=8.27, paperHeight=11.69)["data"]
    page.with_suffix(".pdf").write_bytes(base64.b64decode(printed))
    return files + 1


def look_at(browser: Browser, page: pathlib.Path) -> str:
    """What was found at one page, in a line; PageError where something is wrong."""
    proof = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    with browser.opened(page.resolve(strict=True)):
        pairs = compare(browser.value("document.documentElement.outerHTML"), proof)
        files = take_pictures(browser, page)
    return f"{pairs} pairs as in the proof, {files} files"


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Look at pages of proofs with a real Chromium.")
    parser.add_argument("pages", nargs="+", metavar="PAGE.html", type=pathlib.Path, help="its proof is PAGE.json")
    parser.add_argument("--chromium", default=os.environ.get("RINGFENCE_CHROMIUM", "chromium"))
    settings = parser.parse_args(arguments)
    if not shutil.which(settings.chromium):
        print(f"{settings.chromium} is not there: install Debian's package chromium, or use --chromium")
        return 1
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(contextlib.closing(Browser(settings.chromium, stack.enter_context(_profile()))))
        for page in settings.pages:
            try:
                print(f"ok {page.name}: {look_at(browser, page)}", flush=True)
            except (PageError, OSError, ValueError) as exc:
                # After a fault of the browser's own no other page would be told from it.
                print(f"FAILED {page.name}: {exc}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

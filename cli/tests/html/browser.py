"""Controls a headless Chromium through a pipe with the DevTools protocol (JSON messages that end with NUL).

Chromium's flags for pictures cannot disable the scripts of a page, and do not report what it fetches.
"""

import base64
import json
import os
import subprocess


class Browser:
    """A browser with one tab."""

    def __init__(self, profile):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4. The copies avoid a collision.
            read, write = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(read, 3)
            os.dup2(write, 4)

        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        command = ["chromium", *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stdout=quiet, stderr=quiet)
        os.close(theirs_in)
        os.close(theirs_out)
        self.to, self.of = os.fdopen(ours_out, "wb"), os.fdopen(ours_in, "rb")
        self.rest, self.number, self.session, self.events = b"", 0, None, []
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "DOM"):
            self.call(f"{domain}.enable")

    def _receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.of.fileno(), 1 << 16)
            if not more:
                raise EOFError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        """Calls a method, and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path, scripts=True, dark=False, width=1300):
        """Opens a page. Returns what was fetched, and the browser's complaints."""
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=theme)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False)
        self.events = []
        self.call("Page.navigate", url=f"file://{path}")
        seen = 0
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events[seen:]):
            seen = len(self.events)
            self.events.append(self._receive())
        # The result of this call arrives after all earlier events.
        self.call("Page.getLayoutMetrics")
        of = lambda name: [event["params"] for event in self.events if event.get("method") == name]
        fetched = [event["request"]["url"] for event in of("Network.requestWillBeSent")]
        complaints = [event["entry"]["text"] for event in of("Log.entryAdded")]
        complaints += [event["exceptionDetails"]["text"] for event in of("Runtime.exceptionThrown")]
        return fetched, complaints

    def document(self):
        """The page as the browser understood it, without help of a script."""
        root = self.call("DOM.getDocument", depth=0)["root"]
        return self.call("DOM.getOuterHTML", nodeId=root["nodeId"])["outerHTML"]

    def size(self):
        """Width and height of all there is."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return int(size["width"]), int(size["height"])

    def picture(self, path):
        """The whole page, at most 16000 pixels high."""
        width, height = self.size()
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def paper(self, path):
        """The page as it is printed."""
        pdf = base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])
        with open(path, "wb") as file:
            file.write(pdf)
        return pdf

    def close(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait(timeout=30)

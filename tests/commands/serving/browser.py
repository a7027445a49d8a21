"""Headless Chromium with a page in it, driven through its DevTools protocol."""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import subprocess

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def chromium(profile):
    """A browser; yields the address of its DevTools."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield next(filter(None, (re.search(r"ws://([\d.:]+)/", line) for line in process.stderr)))[1]
    finally:
        process.kill()
        process.communicate()


class Tab:
    """A page of the browser; `messages` are those of its console, and errors of its security policy."""

    def __init__(self, socket):
        self._socket, self._number, self.messages = socket, 0, []

    async def call(self, method, **params):
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive(timeout=60)).data)
            if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.messages.append(message["params"])
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    async def value(self, expression):
        """The value of a JavaScript expression, awaited if it is a promise."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def wait_for(self, expression):
        """Wait until a JavaScript expression is true."""
        while not await self.value(expression):
            await asyncio.sleep(0.05)

    async def open(self, address, width):
        """Load a page into a window of `width` pixels."""
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=True)
        await self.call("Page.navigate", url=address)
        await self.wait_for(f"document.readyState === 'complete' && location.href.startsWith('{address}')")

    async def choose(self, selector, *paths):
        """Choose files in an input, as a user does."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    async def screenshot(self):
        """The whole page as a PNG file."""
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])


@contextlib.asynccontextmanager
async def tab(devtools):
    """The page that the browser started with."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{devtools}/json") as pages:
            (address,) = [page["webSocketDebuggerUrl"] for page in await pages.json() if page["type"] == "page"]
        async with session.ws_connect(address, max_msg_size=0) as socket:
            made = Tab(socket)
            for domain in ("Page", "DOM", "Runtime", "Log"):
                await made.call(f"{domain}.enable")
            yield made

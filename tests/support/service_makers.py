"""Makers of a small service, asked in this process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from hashmatch import Matcher, ReferenceList, fingerprint
from hashmatch.picture.encode import jpeg
from hashmatch.service.app import create_app
from hashmatch.service.config import ServiceConfig
from hashmatch.service.service import Service
from hashmatch.service.tokens import Tokens
from hashmatch.synthetic import picture

LISTED, STRANGER = (picture("photo", seed, size=(160, 200)) for seed in (1, 2))
KNOWN, UNKNOWN = jpeg(LISTED, quality=90), jpeg(STRANGER, quality=90)

Found = TypeVar("Found")


def one_picture_list(path: Path, name: str = "list") -> Path:
    """Make a list that knows the picture `LISTED`."""
    with ReferenceList.create(path, name=name) as ref:
        ref.add("one", fingerprint=fingerprint(LISTED, algorithms=("pdq",)), source="ncmec", labels={"class": "A1"})
    return path


@asynccontextmanager
async def served(
    *paths: Path,
    config: ServiceConfig | None = None,
    tokens: str = "",
    prepare: Callable[[Service], None] | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve lists in this process, which decodes pictures itself."""
    with Matcher.open(*paths, policy=(config or ServiceConfig()).searched) as matcher:
        service = Service(matcher, config, Tokens.parse(tokens))
        if prepare is not None:
            prepare(service)
        transport = httpx.ASGITransport(app=create_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            try:
                yield client
            finally:
                await service.close()


def ask(*paths: Path, what: Callable[[httpx.AsyncClient], Awaitable[Found]], **options: Any) -> Found:
    """Serve lists, and ask something."""

    async def run() -> Found:
        async with served(*paths, **options) as client:
            return await what(client)

    return asyncio.run(run())


@dataclass(kw_only=True)
class Running:
    """A service as a process of its own: what it wrote to standard error is in ``lines``."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str]
    reader: threading.Thread

    def end(self, sign: int | None = None) -> int:
        """Send a signal, if one is given, and wait for the end: the exit code."""
        if sign is not None:
            self.process.send_signal(sign)
        code = self.process.wait(60)
        self.reader.join(60)
        return code


@contextmanager
def process(*words: str, tokens: str = "", wait: float = 120) -> Iterator[Running]:
    """Run ``hashmatch serve`` on a free port, and end it."""
    environment = {key: value for key, value in os.environ.items() if key != "HASHMATCH_TOKENS"}
    if tokens:
        environment["HASHMATCH_TOKENS"] = tokens
    command = [sys.executable, "-m", "hashmatch", "serve", "--port", "0", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        stop = threading.Timer(wait, running.kill)
        stop.start()
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(running.stderr or ()))
        try:
            assert running.stderr is not None
            for line in running.stderr:
                lines.append(line)
                if "answering at" in line:
                    break
            else:
                raise AssertionError("".join(lines))
            url = json.loads(line)["message"].split()[-1]
            reader.start()
            yield Running(process=running, url=url, lines=lines, reader=reader)
        finally:
            stop.cancel()
            if running.poll() is None:
                running.kill()
            if reader.ident is not None:  # it reads to the end before the pipe is closed
                reader.join(60)

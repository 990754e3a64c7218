"""``hashmatch serve``: lists behind HTTP."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from hashmatch.cli.console import WARNINGS, fail, warn
from hashmatch.cli.interpreter import loader_variables
from hashmatch.cli.policy_options import policy_named
from hashmatch.cli.sources import check_list, open_list
from hashmatch.errors import PolicyError, ReferenceListError

__all__ = ["serve"]

_TOKENS: Final = "HASHMATCH_TOKENS"
_LEAST_SECRET: Final = 32
_LONGEST: Final = 2**20


def serve(
    lists: Annotated[
        list[Path] | None, typer.Option("--list", "-l", help="List file; may be given several times.")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Configuration file, TOML; options stand above it.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address; without tokens a loopback one. [default: 127.0.0.1]", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="TCP port; 0 for a free one. [default: 8000]", show_default=False
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", "-p", help="fast, standard, thorough or FILE.toml. [default: standard]", show_default=False
        ),
    ] = None,
    index_folder: Annotated[
        Path | None,
        typer.Option("--index-folder", help="Keep indexes in this existing folder: later starts are sooner."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help=f"File of tokens, a line NAME SCOPE[,SCOPE] TOKEN for each. [default: ${_TOKENS}]",
            show_default=False,
        ),
    ] = None,
    hma: Annotated[
        bool, typer.Option("--hma", help="Serve the routes of Hasher-Matcher-Actioner too; see docs/how-to/hma.md.")
    ] = False,
) -> None:
    """Answer for pictures and hashes over HTTP, from lists that may change meanwhile.

    Standard error has one JSON object a line: for each request, and for what an operator should know.

    Pictures are decoded in restricted processes. Uploads stay in memory; no address is fetched; no answer and no log
    has a list's hash. SIGTERM ends the service when the requests in flight have their answers, a second one at once.

    Exit code: 0 after a signal, 2 an error.

    Example: hashmatch serve --list mine.hashmatch --port 8000
    """
    try:
        from hashmatch.service.config import ServiceConfig, config_from_toml
        from hashmatch.service.logs import AccessLog
        from hashmatch.service.server import check_address, listening, run
        from hashmatch.service.service import Service
        from hashmatch.service.tokens import Tokens
    except ImportError as error:
        raise fail(str(error)) from error
    chosen = None if policy is None else policy_named(policy)
    config = ServiceConfig() if chosen is None else ServiceConfig(policy=chosen)
    try:
        if config_file is not None:
            config = config_from_toml(_text_of(config_file), chosen).in_folder(config_file.parent)
        server = replace(
            config.server,
            host=config.server.host if host is None else host,
            port=config.server.port if port is None else port,
            hma=config.server.hma or hma,
            token_file=config.server.token_file if token_file is None else str(token_file),
        )
        config = replace(
            config,
            server=server,
            paths=(*config.paths, *map(str, lists or ())),
            index_folder=config.index_folder if index_folder is None else str(index_folder),
        )
        stage = config.second_stage
        secret_file = None if stage is None else stage.webhook_secret_file
        secret = b"" if secret_file is None else _text_of(Path(secret_file)).strip().encode()
        if secret_file is not None and len(secret) < _LEAST_SECRET:
            raise PolicyError(f"{secret_file}: the secret of a webhook has {_LEAST_SECRET} or more characters")
        tokens = Tokens.parse(_token_text(server.token_file))
        check_address(config, tokens)
    except PolicyError as error:
        raise fail(f"{config_file}: {error}" if config_file is not None else str(error)) from error
    paths = [Path(path) for path in (*(item.path for item in config.lists.values()), *config.paths)]
    if not paths:
        raise fail("name a list: --list LIST, or [lists.NAME] in the configuration file")
    for path in paths:
        check_list(path)
    with _json_lines():
        try:
            service = Service.open(config, tokens, secret, environment=loader_variables())
        except ReferenceListError as error:
            for path in paths:
                with open_list(path):
                    pass
            raise fail(f"{', '.join(map(str, paths))}: {error}") from error
        try:
            opened = listening(config)
        except OSError as error:
            service.matcher.close()
            raise fail(f"{server.host}:{server.port}: {error.strerror}") from error
        shown, number = opened.getsockname()[:2]
        address = f"http://[{shown}]:{number}" if ":" in shown else f"http://{shown}:{number}"
        if server.log_requests:
            service.observers.append(AccessLog())
        run(service, opened, lambda: logging.getLogger("hashmatch.service").info("answering at %s", address))


@contextmanager
def _json_lines() -> Iterator[None]:
    """Write what is logged as JSON lines to standard error, in place of what other commands show of it."""
    from hashmatch.service.logs import JsonFormatter, LineWriter

    handler = LineWriter(sys.stderr)
    handler.setFormatter(JsonFormatter())
    with ExitStack() as undo:
        undo.callback(handler.close)
        # the reader of forms warns of every bad one, which its caller is told
        levels = {"hashmatch": logging.INFO, "uvicorn": logging.WARNING, "python_multipart": logging.ERROR}
        for name, level in levels.items():
            logger = logging.getLogger(name)
            undo.callback(logger.setLevel, logger.level)
            for other in [item for item in logger.handlers if item.get_name() == WARNINGS]:
                logger.removeHandler(other)
                undo.callback(logger.addHandler, other)
            logger.addHandler(handler)
            undo.callback(logger.removeHandler, handler)
            logger.setLevel(level)
        yield


def _text_of(path: Path) -> str:
    """Read a small file of text."""
    with path.open("rb") as file:
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise PolicyError("the file has more than a megabyte")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError("the file is no text in UTF-8") from None


def _token_text(file: str | None) -> str:
    """Read the tokens from their file or the environment; they are never arguments, which other users see."""
    if file is None:
        return os.environ.get(_TOKENS, "").replace(";", "\n")
    mode = os.stat(file).st_mode
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"{file}: other users of this machine may read the tokens: chmod 600")
    return _text_of(Path(file))

"""Bring the pages that stand outside ``docs/`` into the site: README, changelog, benchmark results, fuzz results.

`mkdocs build` calls these functions. Links between files stay those of the repository, so that they lead somewhere
in both; a link that leaves ``docs/`` is turned here to where the page stands in the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import join, normpath, relpath
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
OUTSIDE: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks/index.md",
    "fuzz/README.md": "fuzz/index.md",
    "fuzz/results/README.md": "fuzz/results.md",
    "fuzz/results/runs.json": "fuzz/runs.json",
} | {
    path.relative_to(ROOT).as_posix(): path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "benchmarks" / "results").glob("*"))
    if path.suffix in (".md", ".png")
}
"""Where a file of the repository stands in the site, by its path in the repository."""
INSIDE: Final = {place: path for path, place in OUTSIDE.items()}
NAMED: Final = re.compile(r"<code>docs/([\w/-]+)\.md</code>")
LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside ``docs/``."""
    for path, place in OUTSIDE.items():
        file = File.generated(config, place, abs_src_path=str(ROOT / path))
        if path.endswith(".md") and "/" in path:
            file.inclusion = file.inclusion.NOT_IN_NAV  # results are reached by links, not by the menu
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of one page from the repository to the site."""
    place = page.file.src_uri
    here = INSIDE.get(place, f"docs/{place}")

    def turned(link: re.Match[str]) -> str:
        target = normpath(join(here, "..", link[1]))
        there = OUTSIDE.get(target, target.removeprefix("docs/"))
        return f"]({relpath(there, join(place, '..'))}{link[2] or ''})"

    return LINK.sub(turned, markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Make links of the documents that docstrings name."""
    start = join(page.file.src_uri, "..")
    return NAMED.sub(lambda name: f'<a href="{relpath(name[1], start)}.html">{name[1]}</a>', html)

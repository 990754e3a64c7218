"""``hashmatch info``: what it says holds here."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import hashmatch
from hashmatch.cli import info as module
from hashmatch.cli.app import app
from hashmatch.errors import IsolationError
from hashmatch.jail import MEASURES
from hashmatch.kernels import compiled


def test_json_names_what_is_here() -> None:
    """Versions, kernels and measures are those of this process and of a worker started by it."""
    found = json.loads(CliRunner().invoke(app, ["info", "--json"]).stdout)
    assert found["hashmatch"] == hashmatch.__version__
    assert found["kernels"] == {name: "compiled" if built else "NumPy" for name, built in compiled().items()}
    assert set(found["protection"]["measures"]) | set(found["protection"]["missing"]) == set(MEASURES)
    assert found["packages"]["numpy"]
    assert found["codecs"]["jpg"]
    assert "JPEG" in found["decode"]["formats"]


def test_text_says_the_same() -> None:
    """Six lines for people."""
    result = CliRunner().invoke(app, ["info"])
    assert result.exit_code == 0
    assert [line.split(" ")[0].rstrip(":") for line in result.stdout.splitlines()] == [
        "hashmatch",
        "packages",
        "codecs",
        "kernels",
        "pixel",
        "protection",
    ]


def test_no_worker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no worker can be started the reason stands in its place."""

    def fail(*_: object) -> None:
        raise IsolationError("no interpreter here")

    monkeypatch.setattr("hashmatch.features.isolated.IsolatedReader.__init__", fail)
    assert module.gathered()["protection"] == {"error": "no interpreter here"}
    assert "not: no interpreter here" in CliRunner().invoke(app, ["info"]).stdout

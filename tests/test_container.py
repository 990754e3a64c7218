"""The container: what its files promise is held against them, and its commands are run as far as they can be here.

Nothing is built or pulled. The service runs as the container starts it (another user, no capability, no new privileges,
everything read-only but the folder of indexes) in a mount namespace of its own, where this user may make one.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hashmatch.errors import IsolationError
from hashmatch.service.app import create_app
from hashmatch.service.config import DecodingSettings, ServiceConfig, config_from_toml
from hashmatch.service.service import Service
from support.jail_makers import LINUX
from support.service_makers import KNOWN, ask, one_picture_list, process

yaml = pytest.importorskip("yaml")

PROJECT = Path(__file__).parent.parent
DEPLOY = PROJECT / "deploy"
USER = 10001
TOKEN = "a-made-up-token-of-tests"  # noqa: S105 - made up


def instructions() -> list[tuple[str, str]]:
    """Read the Containerfile: each instruction and what follows it, lines that go on joined."""
    text = re.sub(r"\\\n", " ", (PROJECT / "Containerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def last_stage() -> list[tuple[str, str]]:
    """Give the instructions of what is run."""
    steps = instructions()
    start = max(place for place, (name, _) in enumerate(steps) if name == "FROM")
    return steps[start:]


def compose() -> dict[str, Any]:
    """Read the example."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def health_check() -> list[str]:
    """Give the command that looks whether the service lives."""
    (line,) = [rest for name, rest in last_stage() if name == "HEALTHCHECK"]
    found: list[str] = json.loads(line.partition("CMD ")[2])
    return found


def test_what_runs_holds_no_compiler_and_no_source() -> None:
    """It is built in one stage and run in another, which takes the environment alone, on a slim base."""
    steps = instructions()
    bases = [rest for name, rest in steps if name == "FROM"]
    assert len(bases) == 2
    assert all(rest.startswith("${BASE}") for rest in bases)
    (base,) = [rest.removeprefix("BASE=") for name, rest in steps if name == "ARG"]
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim", base)
    assert [rest for name, rest in last_stage() if name == "COPY"] == ["--from=build /opt/hashmatch /opt/hashmatch"]
    assert not any("apt-get" in rest or "pip" in rest for name, rest in last_stage())
    assert not [name for name, _ in steps if name == "ADD"]
    assert "curl" not in str(steps)


def test_it_runs_as_nobody_in_particular() -> None:
    """By a number, so that an orchestrator can see that it is not root; and its programs get its signals."""
    named = dict(last_stage())
    assert named["USER"] == f"{USER}:{USER}"
    assert json.loads(named["ENTRYPOINT"]) == ["hashmatch", "serve"]
    assert json.loads(named["CMD"]) == ["--config", "/etc/hashmatch/service.toml"]
    order = [name for name, _ in last_stage()]
    assert max(place for place, name in enumerate(order) if name == "RUN") < order.index("USER")


def test_the_build_sees_the_sources_and_nothing_else() -> None:
    """Whatever lies in the folder, lists above all, does not get into a layer."""
    lines = (PROJECT / ".containerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word for name, rest in instructions() if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]
    }
    assert let_in == copied
    assert all((PROJECT / name).exists() for name in copied)


def test_the_extras_are_there() -> None:
    """What the image installs is what the project offers."""
    with (PROJECT / "pyproject.toml").open("rb") as file:
        offered = tomllib.load(file)["project"]["optional-dependencies"]
    (line,) = [rest for name, rest in instructions() if "pip install" in rest]
    wanted = re.search(r"/source\[([\w,]+)\]", line)
    assert wanted is not None
    assert set(wanted[1].split(",")) <= set(offered)


def test_the_example_leaves_no_rights() -> None:
    """Read-only, without capabilities, without new privileges, with bounds, reachable from this machine alone."""
    services = compose()["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "cap_add", "user", "network_mode", "pid", "ipc"} & set(service)
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert ":latest" not in service["image"]
    own = services["hashmatch"]
    assert own["mem_limit"] == own["memswap_limit"]
    assert own["pids_limit"] >= 2 * 64
    assert own["ulimits"]["core"] == 0
    assert (DEPLOY / own["build"]["context"] / own["build"]["dockerfile"]).resolve() == PROJECT / "Containerfile"
    writable = [volume for volume in own["volumes"] if not volume.endswith(":ro")]
    assert writable == ["indexes:/indexes"]


def test_every_file_of_the_example_is_there() -> None:
    """What it mounts is beside it, but the lists and the tokens, which are the operator's."""
    own = {"./lists", "./secrets/tokens", "./secrets/metrics_token"}
    example = compose()
    mounted = {volume.partition(":")[0] for service in example["services"].values() for volume in service["volumes"]}
    mounted |= {secret["file"] for secret in example["secrets"].values()}
    files = {name for name in mounted if name.startswith("./")}
    assert own <= files
    assert all((DEPLOY / name).is_file() for name in files - own)
    assert mounted - files == set(example["volumes"])


def test_the_configuration_of_the_example_is_read() -> None:
    """It listens for all, with tokens; the stop fits in the time that the container is given; decoders are shut in."""
    config = config_from_toml((DEPLOY / "service.toml").read_text(encoding="utf-8"))
    own = compose()["services"]["hashmatch"]
    assert config.server.host == "0.0.0.0"  # noqa: S104 - within its container
    assert config.server.token_file == "/run/secrets/tokens"  # noqa: S105 - a path
    assert own["secrets"] == ["tokens"]
    assert str(config.server.port) == own["ports"][0].rpartition(":")[2] == dict(last_stage())["EXPOSE"]
    assert config.server.stop_seconds + config.server.drain_seconds < int(own["stop_grace_period"].rstrip("s"))
    assert config.decoding.require == "strong"
    assert config.index_folder == "/indexes"


def test_prometheus_is_told_of_metrics_that_there_are(tmp_path: Path) -> None:
    """Every alert asks for a metric that the service has, and the scrape goes where it listens, with a token."""
    scrapes = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = scrapes["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["hashmatch:8000"]}]
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    (group,) = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    path = one_picture_list(tmp_path / "list.hashmatch")
    # the text format names a counter with its ending
    there = set(re.findall(r"^# TYPE (\w+) ", ask(path, what=lambda client: client.get("/metrics")).text, flags=re.M))
    for rule in group["rules"]:
        named = set(re.findall(r"\bhashmatch_\w+", rule["expr"]))
        assert named <= there, rule["alert"]


def test_the_health_check_sees_life(tmp_path: Path) -> None:
    """It ends with 0 while the service lives, whatever a proxy's variables say, and with an error elsewhere."""
    path = one_picture_list(tmp_path / "list.hashmatch")
    command = [sys.executable, *health_check()[1:]]

    def looked(port: str) -> int:
        words = [word.replace("8000", port) for word in command]
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:1"}
        return subprocess.run(words, env=environment, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode

    assert health_check()[0] == "python"
    with process("--list", str(path)) as running:
        port = running.url.rpartition(":")[2]
        assert looked(port) == 0
    assert looked(port) != 0


def may_shut_in() -> bool:
    """Whether this user may make a mount namespace and become another user in it."""
    if os.name != "posix" or os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a folder that other users can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.skipif(not may_shut_in(), reason="needs root, to become another user in a file system of its own")
def test_it_serves_in_a_read_only_root_as_another_user(place: Path) -> None:
    """As the container starts it; every measure of the decoders holds, and nothing but indexes is written."""
    lists, indexes, secrets = (place / name for name in ("lists", "indexes", "secrets"))
    for folder in (lists, indexes, secrets):
        folder.mkdir(mode=0o755)
    path = one_picture_list(lists / "known.hashmatch", "known")
    path.chmod(0o644)
    (secrets / "tokens").write_text(f"test match,status {TOKEN}\n")
    (secrets / "tokens").chmod(0o400)
    os.chown(secrets / "tokens", USER, USER)
    indexes.chmod(0o700)
    os.chown(indexes, USER, USER)
    text = (DEPLOY / "service.toml").read_text(encoding="utf-8").replace("drain_seconds = 5.0", "drain_seconds = 0.0")
    for old, new in (("/indexes", indexes), ("/run/secrets", secrets), ("/lists", lists)):
        text = text.replace(f'"{old}', f'"{new}')
    config = place / "service.toml"
    config.write_text(text.replace('host = "0.0.0.0"', 'host = "127.0.0.1"\nport = 0'))
    base = Path(sys.base_prefix)
    hidden = [str(item) for item in reversed(base.parents) if not item.stat().st_mode & stat.S_IXOTH][:1]
    shut_in = f"""
for hidden in {" ".join(hidden)}; do  # an interpreter in a home is put where the other user can reach it
    mkdir {place}/base && mount --bind {base} {place}/base && mount -t tmpfs -o mode=755 none "$hidden" || exit 9
    mkdir -p {base} && mount --bind {place}/base {base} || exit 9
done
mount --bind / / && mount --bind {indexes} {indexes} && mount -o remount,bind,ro / || exit 9
for at in $(cut -d' ' -f2 /proc/mounts | grep -v '^{indexes}$'); do mount -o remount,bind,ro "$at" 2>/dev/null; done
exec setpriv --reuid {USER} --regid {USER} --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", shut_in, "sh"]
    command += [sys.executable, "-B", "-m", "hashmatch", "serve", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        said = ""
        for line in running.stderr:
            said += line
            if "answering at" in line:
                break
        else:
            pytest.fail(said)
        address = json.loads(line)["message"].split()[-1]
        owner = Path(f"/proc/{running.pid}").stat().st_uid
        asked = urllib.request.Request(f"{address}/v1/match", KNOWN, {"Authorization": f"Bearer {TOKEN}"})  # noqa: S310
        with urllib.request.urlopen(asked, timeout=60) as response:  # noqa: S310
            outcome = json.load(response)["outcome"]
        with urllib.request.urlopen(f"{address}/readyz", timeout=60) as response:  # noqa: S310
            ready = json.load(response)
        running.send_signal(signal.SIGTERM)
        running.stderr.read()
    assert (outcome, owner, running.returncode) == ("match", USER, 0)
    assert ready["ready"] is True
    assert ready["protection"]["level"] == "strong"
    assert [item.name for item in lists.iterdir()] == ["known.hashmatch"]
    made = list(indexes.iterdir())
    assert made
    assert {item.stat().st_uid for item in made} == {USER}
    assert not any(item.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) for item in made)


@LINUX
@pytest.mark.parametrize("require", ["strong", "weak"])
def test_where_the_decoders_cannot_be_shut_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Any) -> None:
    """The service does not start and names the measure; where less is required /readyz and the metrics name it."""
    monkeypatch.setattr("hashmatch.features.isolated._WORKER", "support.refused_worker")
    path = one_picture_list(tmp_path / "list.hashmatch")
    config = ServiceConfig(paths=(str(path),), decoding=DecodingSettings(workers=1, require=require))
    if require == "strong":
        with pytest.raises(IsolationError, match="landlock") as caught:
            Service.open(config)
        assert caught.value.reason == "protection-too-weak"
        return

    async def run() -> tuple[httpx.Response, str]:
        transport = httpx.ASGITransport(app=create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            try:
                return await client.get("/readyz"), (await client.get("/metrics")).text
            finally:
                await service.close()

    service = Service.open(config)
    ready, metrics = asyncio.run(run())
    assert ready.status_code == 200
    assert ready.json()["protection"]["level"] == "weak"
    assert ready.json()["protection"]["missing"] == ["landlock"]
    assert 'hashmatch_worker_protection{measure="landlock"} 0.0' in metrics
    assert 'hashmatch_worker_protection{measure="seccomp"} 1.0' in metrics

"""docker-compose.yml, as far as it can be checked where no container engine is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{(\w+)(:?[?-]?)([^}]*)\}")
SECRET = re.compile("PASSWORD|KEY|USER")


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def bases(dockerfile: Path) -> list[str]:
    return re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)


def test_schema_of_the_compose_specification() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_named_thing_is_declared_and_used() -> None:
    used: dict[str, set[str]] = {"volumes": set(), "networks": set()}
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                used["volumes"].add(source)
        used["networks"].update(service["networks"])
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} depends on {other}"
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
    assert used["volumes"] == set(COMPOSE["volumes"])
    assert used["networks"] == set(COMPOSE["networks"])


def test_services_that_talk_share_a_network() -> None:
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            if SERVICES[other].get("restart"):  # bucket has ended by then
                assert set(service["networks"]) & set(SERVICES[other]["networks"]), (name, other)
        text = yaml.safe_dump([service.get("command"), service.get("environment")])
        for host in re.findall(r"(?://|@)(database|storage|mlflow):\d", text):
            shared = set(service["networks"]) & set(SERVICES[host]["networks"])
            assert shared, f"{name} cannot reach {host}"


def test_variables_are_those_of_the_example_and_none_has_a_default_that_opens_a_door() -> None:
    found = VARIABLE.findall(FILE.read_text())
    assert {name for name, _, _ in found} == set(env_example())
    for name, how, rest in found:
        if SECRET.search(name):
            assert how == ":?", f"{name} may be missing or empty"
            assert name in rest
    for name, value in env_example().items():
        assert not value or not SECRET.search(name), f"{name} has a value"


def test_no_password_stands_in_a_command_or_file() -> None:
    for service in SERVICES.values():
        assert "${" not in yaml.safe_dump(service.get("command", []))
    ini = (ROOT / "docker/mlflow/basic_auth.ini").read_text()
    assert not re.search(r"^\s*admin_password", ini, re.MULTILINE)
    assert not re.search(r"://\w+:\w+@", ini + FILE.read_text())


@pytest.mark.parametrize("name", list(SERVICES))
def test_images_are_pinned_and_nobody_is_root(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+\.\d+", service["image"]), service["image"]
    assert service["cap_drop"] == ["ALL"]
    if "build" not in service:
        assert service["user"] != "root"
        return
    build = service["build"]
    build = {"context": build} if isinstance(build, str) else build
    dockerfile = ROOT / build.get("dockerfile", f"{build['context']}/Dockerfile")
    assert all(re.search(r":\d+\.\d+", base) for base in bases(dockerfile))
    users = re.findall(r"^USER (\S+)", dockerfile.read_text(), re.MULTILINE)
    assert users[-1] == "1000:1000"
    for copied in re.findall(r"^COPY (.+) \S+$", dockerfile.read_text(), re.MULTILINE):
        for file in copied.split():
            assert (ROOT / build["context"] / file).exists(), f"{dockerfile}: {file}"


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if s.get("restart")])
def test_what_keeps_running_is_watched(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["retries"] > 0


def test_ports_are_bound_to_loopback() -> None:
    ports = [p for service in SERVICES.values() for p in service.get("ports", [])]
    assert ports
    assert all(p.startswith("127.0.0.1:") for p in ports)


def test_the_server_has_the_mlflow_that_trains() -> None:
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
    for line in (ROOT / "docker/mlflow/requirements.txt").read_text().splitlines():
        name, version = line.lower().split("==")
        name = name.split("[")[0]
        if name in pins:
            assert pins[name] == version, name
    assert pins["mlflow"] == SERVICES["mlflow"]["image"].split(":")[1]
    assert pins["mlflow"] in (ROOT / "docker/mlflow/requirements.txt").read_text()

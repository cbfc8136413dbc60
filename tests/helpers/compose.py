"""The services of compose.yaml as processes of this machine, without Docker."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.helpers.processes import ROOT, free_port, stop

POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")


def postgres_program(name: str) -> str:
    """Return the path of a program of PostgreSQL; skip the test if it is not installed."""
    folders = sorted(POSTGRES_PROGRAMS.glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    return found


class Composition:
    """Starts services of compose.yaml with their commands, environments and health checks.

    Ports, host names and folders of the containers are replaced by those of the test. Use it as a
    context manager: all processes stop at its end.

    Args:
        folder: an empty folder for volumes and logs.
        environments: variables by the env_file that compose.yaml names.
    """

    def __init__(self, folder: Path, environments: Mapping[str, Mapping[str, str]]) -> None:
        self.services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        self.folder = folder
        self.ports = {name: free_port() for name in ("postgres", "mlflow", "server")}
        self._environments = environments
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cleared: list[Path] = []
        postgres, mlflow, server = (str(self.ports[name]) for name in self.ports)
        self._replacements = {
            "@postgres:5432": f"@127.0.0.1:{postgres}",
            "http://mlflow:5000": f"http://127.0.0.1:{mlflow}",
            "127.0.0.1:5000": f"127.0.0.1:{mlflow}",
            "127.0.0.1:8000": f"127.0.0.1:{server}",
            "--port=5000": f"--port={mlflow}",
            # Docker publishes the port on this address; here the process listens on it.
            "0.0.0.0": "127.0.0.1",
            "$$": "$",
        }
        for name in ("artifacts", "spool", "runs", "models"):
            (folder / name).mkdir()
            self._replacements[f"/{name}"] = str(folder / name)

    def __enter__(self) -> Composition:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            stop(process)
        for path in self._cleared:
            shutil.rmtree(path, ignore_errors=True)

    def localize(self, text: str) -> str:
        """Replace what exists only in containers."""
        for name, local in self._replacements.items():
            text = text.replace(name, local)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of a service."""
        content = self.services[service]
        files = [self._environments[file] for file in content.get("env_file", ())]
        own = {name: self.localize(value) for name, value in content.get("environment", {}).items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        result = {**os.environ, "PATH": path}
        for variables in (*files, own):
            result |= variables
        return result

    def start(self, service: str, files: Mapping[str, Path] | None = None) -> None:
        """Start the command of a service.

        Args:
            service: its name.
            files: path in the container → the file that is mounted there.
        """
        self._replacements |= {path: str(file) for path, file in (files or {}).items()}
        command = [self.localize(word) for word in self.services[service]["command"]]
        if service.startswith("server"):
            command[command.index("8000")] = str(self.ports["server"])
        self._run(service, command, self.environment(service))

    def start_postgres(self) -> None:
        """Start PostgreSQL as its image does: a user and a database of the environment."""
        variables = self._environments[self.services["postgres"]["env_file"][0]]
        user, password = variables["POSTGRES_USER"], variables["POSTGRES_PASSWORD"]
        initdb, postgres = postgres_program("initdb"), postgres_program("postgres")
        folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._cleared.append(folder)
        (folder / "password").write_text(password)
        as_user: list[str] = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            for path in (folder, folder / "password"):
                os.chown(path, account.pw_uid, account.pw_gid)
            as_user = ["runuser", "-u", "postgres", "--"]
        data = str(folder / "data")
        made = subprocess.run(
            [*as_user, initdb, "-D", data, "-U", user, f"--pwfile={folder / 'password'}",
             "--auth=scram-sha-256", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        port = str(self.ports["postgres"])
        self._run(
            "postgres",
            [*as_user, postgres, "-D", data, "-p", port, "-k", str(folder), "-h", "127.0.0.1"],
            dict(os.environ),
        )
        while not self.is_healthy("postgres", {"POSTGRES_DB": "postgres"}):
            time.sleep(0.5)
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{variables["POSTGRES_DB"]}"')

    def database_url(self, name: str = "") -> str:
        """Return the URL of a database; the one of MLflow without a name."""
        variables = self._environments[self.services["postgres"]["env_file"][0]]
        user, password = variables["POSTGRES_USER"], variables["POSTGRES_PASSWORD"]
        port = self.ports["postgres"]
        database = name or variables["POSTGRES_DB"]
        return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"

    def is_healthy(self, service: str, variables: Mapping[str, str] | None = None) -> bool:
        """Run the health check of a service once."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        words = [self.localize(word) for word in words]
        environment = {**self.environment(service), "PGPORT": str(self.ports["postgres"])}
        checked = subprocess.run(
            words[0] if kind == "CMD-SHELL" else words,
            shell=kind == "CMD-SHELL",
            env={**environment, **(variables or {})},
            capture_output=True,
            check=False,
        )
        return checked.returncode == 0

    def wait(self, service: str, seconds: float) -> None:
        """Wait until the health check of a service succeeds."""
        end = time.monotonic() + seconds
        while not self.is_healthy(service):
            log = (self.folder / f"{service}.log").read_text()
            assert self._processes[-1].poll() is None, log[-3000:]
            assert time.monotonic() < end, f"{service} is not healthy: {log[-3000:]}"
            time.sleep(1)

    def _run(self, service: str, command: list[str], environment: Mapping[str, Any]) -> None:
        with (self.folder / f"{service}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
            )

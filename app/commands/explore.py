"""``arithmoscope explore``: the explorer in a browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from app.commands.options import CountOrNone, Seed, TaskName
from app.limits import Limits
from interp.errors import InputError

ENTRY = Path(__file__).resolve().parent.parent / "Explorer.py"
# How long torch's idle threads wait in a loop before they sleep (GNU OpenMP). By default they keep
# the cores that the browser and other sessions need: it costs an analysis a twentieth, and takes a
# quarter off the time of a small change on a machine with two cores.
ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}


def explore(
    host: Annotated[str, Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", help="Port to listen on.")] = 8501,
    browser: Annotated[bool, Option(help="Open a browser window where there is a screen.")] = True,
    model: Annotated[str | None, Option("--model", "-m", help="The model to begin with.")] = None,
    task: TaskName = None,
    n: CountOrNone = None,
    seed: Seed = 0,
    limits: Annotated[
        Path | None,
        Option("--limits", help="TOML file of what a shared server may load (app/limits.py)."),
    ] = None,
) -> None:
    """Open the explorer, on this machine only unless --host says otherwise."""
    check_free(host, port)
    study = ["--seed", str(seed)]
    if limits is not None:
        Limits.read(limits)  # an unreadable file is told here, not in the browser
        study += ["--limits", str(limits.resolve())]
    study += ["--n", str(n)] if n is not None else []
    study += ["--model", model] if model else []
    study += ["--task", task] if task else []
    server = [f"--server.address={host}", f"--server.port={port}"]
    server += [] if browser else ["--server.headless=true"]
    # -P: the folder that it is started from may hold an app.py, a probes.py or an interp/.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(ENTRY), *server, "--", *study]
    with subprocess.Popen(command, env={**ENVIRONMENT, **os.environ}) as process:
        # Stopping this command stops the server.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the server received it too and closes its sessions
            code = process.wait()
    raise Exit(0 if code in (0, 130, -2) else code)


def check_free(host: str, port: int) -> None:
    """Raise InputError unless a server can listen there, with a port that is free."""
    if not 0 < port < 2**16:
        raise InputError(f"--port is a number from 1 to 65535, not {port}: leave it out for 8501")
    if (error := _listening(host, port)) is None:
        return
    free = next(
        (p for p in range(port + 1, min(port + 50, 2**16)) if not _listening(host, p)), None
    )
    if free is None:
        raise InputError(f"cannot listen on {host}, port {port} ({error}): give another --host")
    raise InputError(
        f"cannot listen on {host}, port {port} ({error}): another program may use it, perhaps an "
        f"explorer that is open already. --port {free} is free"
    )


def _listening(host: str, port: int) -> str | None:
    """The reason that no server can listen there; None where one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None

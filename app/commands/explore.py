"""``arithmoscope explore``: the explorer in a browser."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from app.commands.options import Count, Seed, TaskName

ENTRY = Path(__file__).resolve().parent.parent / "Explorer.py"


def explore(
    host: Annotated[str, Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option("--port", help="Port to listen on.")] = 8501,
    browser: Annotated[bool, Option(help="Open a browser window where there is a screen.")] = True,
    model: Annotated[str | None, Option("--model", "-m", help="The model to begin with.")] = None,
    task: TaskName = None,
    n: Count = 512,
    seed: Seed = 0,
) -> None:
    """Open the explorer, on this machine only unless --host says otherwise."""
    study = ["--n", str(n), "--seed", str(seed)]
    study += ["--model", model] if model else []
    study += ["--task", task] if task else []
    server = [f"--server.address={host}", f"--server.port={port}"]
    server += [] if browser else ["--server.headless=true"]
    # -P: the folder that it is started from may hold an app.py, a probes.py or an interp/.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(ENTRY), *server, "--", *study]
    with subprocess.Popen(command) as process:
        # Stopping this command stops the server.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the server received it too and closes its sessions
            code = process.wait()
    raise Exit(0 if code in (0, 130, -2) else code)

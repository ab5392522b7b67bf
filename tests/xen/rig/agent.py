#!/usr/bin/python3
"""Runs inside the dom0: executes what the test asks for on a virtio-serial port, many requests at a time.

One JSON object a line, both ways. The unit `rig-agent.service` starts it before sysinit and leaves it running while
the others are stopped, so that a test can watch the dom0 boot and shut down. Knows nothing of the rig; stdlib only.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from typing import Any

PORT = "/dev/virtio-ports/rig.agent"
_write_lock = threading.Lock()


def send(port: int, message: dict[str, Any]) -> None:
    """Write one answer; the leading newline cuts off whatever a former boot left half-written."""
    data = b"\n" + json.dumps(message).encode() + b"\n"
    with _write_lock:
        while data:
            data = data[os.write(port, data) :]


def run(command: str, timeout: float) -> dict[str, Any]:
    """Run a shell command. Output goes through files, so that a background child does not hold the answer back."""
    with tempfile.TemporaryFile(dir="/run") as out, tempfile.TemporaryFile(dir="/run") as err:
        child = subprocess.Popen(
            ["/bin/bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            rc = child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            rc = None
        out.seek(0)
        err.seek(0)
        return {
            "rc": rc,
            "out": out.read().decode(errors="replace"),
            "err": err.read().decode(errors="replace"),
        }


def put(path: str, mode: int, data: str) -> dict[str, Any]:
    """Write a file whole (temp + rename, as an editor does), making its directory."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.rig"
    with open(temporary, "wb") as file:
        file.write(base64.b64decode(data))
    os.chmod(temporary, mode)
    os.rename(temporary, path)
    return {}


def get(path: str) -> dict[str, Any]:
    """A file's content."""
    with open(path, "rb") as file:
        return {"data": base64.b64encode(file.read()).decode()}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "put": put, "get": get}


def answer(port: int, request: dict[str, Any]) -> None:
    """Do one request and answer it; what goes wrong here is the test's to see."""
    number, verb = request.pop("id"), request.pop("verb")
    try:
        reply = VERBS[verb](**request)
    except Exception as problem:  # every failure is reported to the test, which raises it
        reply = {"problem": repr(problem)}
    send(port, {"id": number, **reply})


def main() -> None:
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LC_ALL="C.UTF-8")
    os.chdir("/")
    port = os.open(PORT, os.O_RDWR)
    with open("/proc/sys/kernel/random/boot_id") as file:
        send(port, {"id": 0, "boot": file.read().strip()})
    with open(port, "rb", buffering=0, closefd=False) as raw:
        pending = b""
        while chunk := raw.read(65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    threading.Thread(target=answer, args=(port, json.loads(line)), daemon=True).start()


if __name__ == "__main__":
    main()

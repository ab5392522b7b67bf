"""The two hosts `app` can work on, each joined behind the same ports: a real dom0, or a simulated one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xenlocal.adapters import xenstore
from xenlocal.adapters.actuator import HostActuator
from xenlocal.adapters.command import Commands
from xenlocal.adapters.console import Consoles
from xenlocal.adapters.files import Files
from xenlocal.adapters.host import HostReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.inspection import Inspector
from xenlocal.adapters.iscsi import ChapRecords
from xenlocal.adapters.kernels import Kernels, copy_whole
from xenlocal.adapters.probe import HostProber
from xenlocal.adapters.trials import Trials
from xenlocal.adapters.work import ThreadWork
from xenlocal.engine.ports import Actuator, Prober, Reader, Work
from xenlocal.model.errors import XenlocalError


@dataclass(frozen=True)
class Host:
    """Everything outside: a real dom0, or a simulated one behind the same ports."""

    reader: Reader
    inspector: Inspector
    actuator: Actuator
    prober: Prober
    consoles: Consoles
    work: Work
    watch: Callable[[Callable[[], None]], Any]  # calls back at births and deaths


def is_dom0() -> bool:
    return "control_d" in (Files().read_text("/proc/xen/capabilities") or "")


def real(run_dir: str, state_dir: str) -> Host:
    commands, files = Commands(), Files()
    systemd, identities = os.path.isdir("/run/systemd/system"), Identities(state_dir)
    kernels = Kernels(state_dir, run_dir, files, files, copy_whole, Trials(state_dir))
    return Host(
        HostReader(commands, files, identities, kernels),
        Inspector(commands, files),
        HostActuator(commands, run_dir, systemd, identities, kernels),
        HostProber(commands, files),
        Consoles(files, _console_dir(state_dir)),
        ThreadWork(),
        lambda on_event: xenstore.watch(commands, on_event),
    )


def _console_dir(state_dir: str) -> str:
    return os.path.join(os.path.abspath(state_dir), "console")


def simulated(path: str, run_dir: str, state_dir: str, live: bool) -> Host:
    from xenlocal.simulator.filebacked import FileBackedDom0
    from xenlocal.simulator.files import SimFiles, SimTcp
    from xenlocal.simulator.runner import SimRunner
    from xenlocal.simulator.work import VirtualWork

    try:
        dom0 = FileBackedDom0(path, live)
    except ValueError as error:
        raise XenlocalError(f"{path} holds no simulated dom0 ({error}); remove it to begin with a new one") from error
    work: ThreadWork | VirtualWork = ThreadWork() if live else VirtualWork(dom0)
    runner, files = SimRunner(dom0, dom0 if isinstance(work, ThreadWork) else work), SimFiles(dom0)
    identities, chap = Identities(state_dir), ChapRecords(files, files.secret, files.write)
    kernels = Kernels(state_dir, run_dir, files, Files(), files.copy, Trials(state_dir))
    if isinstance(work, VirtualWork):
        actuator = HostActuator(runner, run_dir, True, identities, kernels, chap=chap, clock=work.now, pause=work.sleep)
    else:
        actuator = HostActuator(runner, run_dir, True, identities, kernels, chap=chap)
    return Host(
        HostReader(runner, files, identities, kernels),
        Inspector(runner, files),
        actuator,
        HostProber(runner, files, SimTcp(dom0).connect),
        Consoles(files, _console_dir(state_dir), write=files.write),
        work,
        lambda on_event: xenstore.watch(runner, on_event),
    )

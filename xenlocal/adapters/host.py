"""The Reader port on a real host, or on the simulator's: every table from the adapter that knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from xenlocal.adapters import diskwork
from xenlocal.adapters.command import Runner
from xenlocal.adapters.files import FileReader
from xenlocal.adapters.identities import Identities
from xenlocal.adapters.iproute import IpReader
from xenlocal.adapters.iscsi import read_iscsi
from xenlocal.adapters.kernels import Kernels
from xenlocal.adapters.lvm import LvmReader
from xenlocal.adapters.outline import outline
from xenlocal.adapters.vbd import sectors_written
from xenlocal.adapters.xenstore import XenstoreReader
from xenlocal.adapters.xl import XlReader
from xenlocal.engine.ports import LastWords, Node
from xenlocal.model.actions import WatchDisk
from xenlocal.model.errors import XenlocalError
from xenlocal.model.identity import Identity
from xenlocal.model.iscsi import IscsiFacts
from xenlocal.model.observed import Hardware, Kept, LiveDomain, Network, PathFacts, Signs, XenStore
from xenlocal.model.storage import Storage
from xenlocal.model.trial import Trial
from xenlocal.planner.update import Kernel, list_of_modules

_Value = TypeVar("_Value")


class HostReader:
    """Satisfies `engine.ports.Reader`."""

    def __init__(self, runner: Runner, files: FileReader, identities: Identities, kernels: Kernels) -> None:
        self._files, self._runner, self._identities, self._kernels = files, runner, identities, kernels
        self._xl = XlReader(runner, files)
        self._xenstore = XenstoreReader(runner)
        self._lvm = LvmReader(runner, files)
        self._ip = IpReader(runner, files)

    def domains(self) -> Mapping[int, LiveDomain]:
        return self._xl.domains()

    def outline(self) -> Mapping[int, LiveDomain]:
        return outline(self._runner)

    def storage(self) -> Storage:
        return self._lvm.storage()

    def network(self) -> Network:
        return self._ip.network()

    def paths(self, paths: Iterable[str]) -> Mapping[str, PathFacts]:
        return self._files.paths(paths)

    def xenstore(self) -> XenStore:
        return self._xenstore.xenstore()

    def hardware(self) -> Hardware:
        return self._xl.hardware()

    def monitors(self) -> frozenset[str]:
        return self._xl.monitors()

    def identities(self) -> Mapping[str, Identity]:
        return self._identities.all()

    def kernels(self) -> Kept:
        return self._kernels.kept()

    def trials(self) -> Mapping[str, Trial]:
        return self._kernels.trials.all()

    def kernel(self, path: str) -> Kernel:
        release = self._kernels.release(path)
        modules = () if release is None else (list_of_modules(release),)
        return Kernel(release, bool(self._files.paths(modules)))

    def iscsi(self) -> IscsiFacts:
        return read_iscsi(self._files)

    def disks_at_work(self) -> frozenset[str]:
        """By its own name too: a domU may have the disk by another one."""
        found = diskwork.disks_at_work(self._files.command_lines())
        facts = self._files.paths({path for _, path in found})
        real = {(work, facts[path].real) for work, path in found if path in facts}
        return frozenset(work.key_of(path) for work, path in found | real)

    def words_of_work(self, action: WatchDisk) -> str:
        """Of a log that cannot be read that is what is told: the work has ended all the same."""
        try:
            found = self._files.read_on(action.work.log_of(action.name), "", diskwork.LAST_WORDS)
        except XenlocalError as error:
            return str(error)
        return diskwork.last_line("" if found is None else found[1], action)

    def nodes(self, nodes: Sequence[Node]) -> Mapping[Node, str | None]:
        return self._xenstore.nodes(nodes)

    def signs(self, domids: Sequence[int]) -> Mapping[int, Signs]:
        pending = _or_nothing(lambda: self._xenstore.pending(domids))
        sectors = _or_nothing(lambda: sectors_written(self._files, domids))
        return {domid: Signs(pending.get(domid), sectors.get(domid)) for domid in domids}

    def last_words(self, name: str) -> LastWords:
        return self._xl.last_words(name)


def _or_nothing(call: Callable[[], Mapping[int, _Value]]) -> Mapping[int, _Value]:
    try:
        return call()
    except XenlocalError:
        return {}

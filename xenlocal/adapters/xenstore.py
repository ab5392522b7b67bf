"""What xenstore says: block backends, who can be asked to stop. And the births and deaths.

`xenstore-ls -f` prints a node a line, `PATH = "VALUE"`, or `PATH:` where the value could not be read
(tools/xenstore/xenstore_client.c). A guest writes below its own path what it likes, but cannot make up a line: names
consist of letters, digits and `-/_@` (xenstored refuses others), and sanitise_value() prints every byte of a value
that is not printable ASCII, and the backslash, as an escape; the quote alone is not escaped, so the last one ends it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from xenlocal.adapters.command import Runner, Stream, Streamer
from xenlocal.engine.ports import Node
from xenlocal.model.errors import CommandFailed
from xenlocal.model.observed import PciUse, Vbd, Vif, XenStore

# one request a node: only the dom0's own part is walked, a guest's is read key by key (tests/records/NOTES.md)
LS = ("xenstore-ls", "-f", "/local/domain/0")
_WATCH = ("xenstore-watch", "@introduceDomain", "@releaseDomain")
_LINE = re.compile(r'(/[A-Za-z0-9/@_-]+)(?: = "(.*)"|:)')
_BACKEND = re.compile(r"/local/domain/0/backend/(vbd|vbd3|tap|qdisk|virtio_disk|vif)/(\d+)/(\d+)(?:/([a-z-]+))?")
# all devices of a guest stand below one backend: dev-0, dev-1, ... (tools/libs/light/libxl_pci.c)
_PCI = re.compile(r"/local/domain/0/backend/pci/(\d+)/\d+/dev-\d+")
_CONNECTED = "4"  # XenbusStateConnected (xen/include/public/io/xenbus.h)
READ = 20.0  # seconds; with xenstored dead it hangs for ever
_MISSING = "couldn't read path "
_DEVICE = re.compile(r"([0-9a-f]{1,4}):([0-9a-f]{1,6})")
_PREFIX = re.compile(r"(?:phy|file|aio|raw|tap|tap2|qcow2?|vhd|qed):")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|([0-7]{3})|(.))")


class XenstoreReader:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def xenstore(self) -> XenStore:
        """Raises CommandFailed, ToolMissing."""
        return parse(self._runner.run(LS, timeout=60))

    def nodes(self, nodes: Sequence[Node]) -> Mapping[Node, str | None]:
        """The values of these nodes, None for those that are not there, escaped as the tool prints them: a guest
        has written them. xenstore-read prints a value a line, and ends with exit 1 at the first path that is not
        there (do_read() in xenstore_client.c), so it is asked again for those behind it.

        Raises CommandFailed, ToolMissing.
        """
        found: dict[Node, str | None] = {}
        left = list(nodes)
        while left:
            paths = [f"/local/domain/{domid}/{path}" for domid, path in left]
            printed = self._read(paths)
            found |= zip(left, printed, strict=False)
            if len(printed) < len(left):
                found[left[len(printed)]] = None
            left = left[len(printed) + 1 :]
        return found

    def _read(self, paths: Sequence[str]) -> Sequence[str]:
        """The values up to the first path that is not there. Of a connection that fails the tool says exit 1 too, and
        so that path has to be named: what could not be read is not missing."""
        argv = ("xenstore-read", *paths)
        try:
            printed = self._runner.run(argv, timeout=READ).split("\n")[:-1]
        except CommandFailed as error:
            printed = error.stdout.split("\n")[:-1]
            missing = len(printed) < len(paths) and error.stderr.strip().endswith(_MISSING + paths[len(printed)])
            if error.status != 1 or not missing:
                raise
            return printed
        if len(printed) != len(paths):
            raise CommandFailed(argv, 0, f"it printed {len(printed)} lines for {len(paths)} paths")
        return printed

    def pending(self, domids: Sequence[int]) -> Mapping[int, bool]:
        """Whether a request to stop still stands in control/shutdown: a guest acknowledges by emptying it
        (drivers/xen/manage.c). None is said of a guest that has no such node.

        Raises CommandFailed, ToolMissing.
        """
        found = self.nodes([(domid, "control/shutdown") for domid in domids])
        return {domid: value != "" for (domid, _), value in found.items() if value is not None}


def watch(streamer: Streamer, on_event: Callable[[], None]) -> Stream:
    """Call `on_event` after every birth, shutdown and death of a domain, from a thread of its own.

    The watch also fires once at its registration, which covers what happened while it was not there.
    xenstore-watch flushes after every line (do_watch()), so nothing waits in a pipe. Raises ToolMissing.
    """
    return streamer.stream(_WATCH, lambda line: on_event())


def lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Path and value, None where that could not be read, of what `LS` printed. Raises CommandFailed where a line is not
    understood, the text ends within one, or dom0 is not in it.

    A text that ends between two lines is not noticed: that the tool exited with 0 stands for it.
    """
    if not text.endswith("\n"):
        raise CommandFailed(LS, 0, "its output is empty or ends within a line")
    saw_dom0 = False
    for line in text[:-1].split("\n"):
        match = _LINE.fullmatch(line)
        if not match:
            raise CommandFailed(LS, 0, f"cannot understand its line {line[:200]!r}")
        saw_dom0 = saw_dom0 or match[1].startswith("/local/domain/0")
        yield match[1], match[2]
    if not saw_dom0:
        raise CommandFailed(LS, 0, "it does not show /local/domain/0")


def parse(text: str) -> XenStore:
    """Raises CommandFailed."""
    backends: dict[tuple[bool, int, int], dict[str, str]] = defaultdict(dict)
    pci = []
    for path, value in lines(text):
        if backend := _BACKEND.fullmatch(path):
            entry = backends[backend[1] == "vif", int(backend[2]), int(backend[3])]
            if backend[4] and value is not None:
                entry[backend[4]] = unescape(value)
        elif (device := _PCI.fullmatch(path)) and value is not None:
            pci.append(PciUse(int(device[1]), value))
    found = sorted(backends.items())
    vbds = tuple(_vbd(domid, devid, entry) for (is_vif, domid, devid), entry in found if not is_vif)
    vifs = tuple(_vif(domid, devid, entry) for (is_vif, domid, devid), entry in found if is_vif)
    return XenStore(vbds, vifs, tuple(pci))


def _vbd(domid: int, devid: int, entry: Mapping[str, str]) -> Vbd:
    """A backend that is half there (being made, being torn down) still holds its disk: all it lacks is taken as
    unknown, and unknown is writable."""
    device = _DEVICE.fullmatch(entry.get("physical-device", ""))
    return Vbd(
        domid=domid,
        vdev=entry.get("dev") or str(devid),
        params=_PREFIX.sub("", entry.get("params", ""), count=1),
        device=(int(device[1], 16), int(device[2], 16)) if device else None,
        writable=entry.get("mode", "w") != "r",
        connected=entry.get("state") == _CONNECTED,
        by_qemu=entry.get("type") == "qdisk",
    )


def _vif(domid: int, devid: int, entry: Mapping[str, str]) -> Vif:
    mac, bridge = entry.get("mac", "").lower(), entry.get("bridge", "")
    return Vif(domid, devid, mac, bridge, entry.get("state") == _CONNECTED)


def unescape(value: str) -> str:
    """sanitise_value() undone (unsanitise_value(), tools/libs/store/xs.c); bytes that are no UTF-8 stay escapes."""
    if "\\" not in value:
        return value
    simple = {"t": b"\t", "n": b"\n", "r": b"\r", "\\": b"\\"}
    data, position = b"", 0
    for match in _ESCAPE.finditer(value):
        data += value[position : match.start()].encode()
        position = match.end()
        if match[1]:
            data += bytes([int(match[1], 16)])
        elif match[2]:
            data += bytes([int(match[2], 8) & 0xFF])
        else:
            data += simple.get(match[3], match[3].encode())
    return (data + value[position:].encode()).decode("utf-8", "backslashreplace")

"""PCI devices of the host that guests are given: what is in the way of that, in a start and in `check`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.planner.build import (
    HERE,
    desired,
    dom,
    hardware,
    ids,
    live,
    memory,
    observed,
    plan,
    ready,
    refused,
    uid,
)
from tests.unit.planner.patients import only, patient
from xenlocal.engine.observe import declared_paths
from xenlocal.model.desired import GuestType, State
from xenlocal.model.inspection import Code, Finding, Severity
from xenlocal.model.memory import Hand
from xenlocal.model.observed import Observed, PathFacts, PathKind, PciUse, Table, Unavailable, XenStore
from xenlocal.model.units import Size
from xenlocal.planner.doctor import diagnose
from xenlocal.planner.pci import hurdle_of_use

NET, CARD = "0000:03:00.0", "0000:04:00.1"
ABLE = frozenset({"pv", "hvm", "pv_directio", "hvm_directio"})
WEB = dom("web", pci=(NET, CARD))


def paths(**drivers: str) -> dict[str, PathFacts]:
    """Devices by net and card, and what drives them."""
    found = {}
    for name, driver in drivers.items():
        at = f"/sys/bus/pci/devices/{NET if name == 'net' else CARD}"
        found[at] = PathFacts(PathKind.OTHER, Size(0), at)
        if driver:
            found[f"{at}/driver"] = PathFacts(PathKind.OTHER, Size(0), f"/sys/bus/pci/drivers/{driver}")
    return found


KEPT = paths(net="pciback", card="pciback")


def host(*lives: object, **values: object) -> Observed:
    values.setdefault("paths", KEPT)
    values.setdefault("hardware", hardware(capabilities=ABLE))
    return observed(*lives, **values)  # type: ignore[arg-type]


def why(seen: Observed) -> str:
    made = plan(desired(WEB), seen)
    assert ("start domain/web" in ids(made)) == (not refused(made, "domain/web"))
    return refused(made, "domain/web")


def test_it_starts_where_all_is_well() -> None:
    assert not why(host())
    assert {*KEPT} <= {*declared_paths(desired(WEB))}


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (paths(card="pciback"), f"pci {NET} is not on this host ({HERE}); `lspci -D` lists what is"),
        (
            paths(net="pciback", card="e1000e"),
            f"pci {CARD} is not set aside for guests: e1000e of the dom0 drives it; type `modprobe xen-pciback` and `xl"
            f" pci-assignable-add {CARD}`, or write xen-pciback.hide=({CARD}) on the kernel's command line",
        ),
        (paths(net="pciback", card=""), f"pci {CARD} is not set aside for guests: nothing keeps it; type `modprobe"),
    ],
)
def test_what_the_host_does_not_keep_for_guests(known: dict[str, PathFacts], reason: str) -> None:
    assert why(host(paths=known)).startswith(reason)


def test_what_another_guest_has() -> None:
    store = XenStore((), (), (PciUse(5, "0000:09:00.0"), PciUse(7, CARD)))
    assert why(host(live(7, "other"), xenstore=store)) == f"pci {CARD} is held by domain/other (domid 7)"
    assert not why(host(live(7, "other"), xenstore=XenStore((), (), (PciUse(7, "0000:09:00.0"),))))


def test_what_a_guest_had_that_is_no_more_is_free() -> None:
    """Its backend stays in xenstore, and xl does not mind it; where nobody can tell who is there, it counts."""
    store = XenStore((), (), (PciUse(4, NET), PciUse(7, CARD)))
    assert why(host(live(7, "other"), xenstore=store)) == f"pci {CARD} is held by domain/other (domid 7)"
    assert not why(host(live(9, "other"), xenstore=store))
    seen = replace(host(xenstore=store), domains=Unavailable("no"))
    assert hurdle_of_use(WEB, store.pci, None, seen) == f"pci {NET} is held by domid 4"


def test_its_own_present_self_is_no_other_guest() -> None:
    kept = memory(ready("web", 5, hand=Hand.RESTART, hand_domid=5))
    seen = host(live(5, "web"), xenstore=XenStore((), (), (PciUse(5, NET), PciUse(5, CARD))))
    assert "start domain/web" in ids(plan(desired(WEB), seen, kept))


@pytest.mark.parametrize("kind", [GuestType.PV, GuestType.HVM])
def test_without_an_iommu(kind: GuestType) -> None:
    able = hardware(capabilities=ABLE - {f"{kind}_directio"})
    there = {"/usr/libexec/xen-qemu-system-i386", "/usr/share/seabios/bios-256k.bin"}
    known = {**KEPT, **{path: PathFacts(PathKind.FILE, Size(0), path) for path in there}}
    web = dom("web", pci=(NET,), type=kind)
    told = refused(plan(desired(web), host(hardware=able, paths=known)), "domain/web")
    assert told.startswith(f"this host cannot give PCI devices to {kind} guests: virt_caps of `xl info` does not say")
    assert "VT-d" in told and "iommu=off" in told
    finding = only(patient(web, seen=host(hardware=able, paths=known)), Code.IOMMU, Severity.CRITICAL)
    assert finding.text == f"domain/web cannot start: {told}" and finding.next


def test_without_an_iommu_none_is_told_to_set_a_device_aside() -> None:
    """xl cannot do it either, so that it is no step on the way."""
    seen = host(hardware=hardware(capabilities=frozenset({"pv"})), paths=paths(net="e1000e", card="pciback"))
    assert why(seen).startswith("this host cannot give PCI devices to pv guests")
    (finding,) = diagnose(patient(WEB, seen=seen), (Code.PCI,))
    assert finding.text.endswith(
        f"{NET} is not set aside for guests: e1000e of the dom0 drives it; that takes an IOMMU too"
    )


@pytest.mark.parametrize("table", [Table.PATHS, Table.XENSTORE, Table.HARDWARE])
def test_unknown_is_a_hurdle(table: Table) -> None:
    assert f"the host's {table} could not be found out" in why(host(**{str(table): Unavailable("no")}))


def test_check_says_so_before_the_start() -> None:
    def found(seen: Observed, state: State = State.RUNNING) -> list[Finding]:
        said = diagnose(patient(dom("web", pci=(NET,), state=state), dom("db"), seen=seen), (Code.PCI,))
        return [each for each in said if each.severity is not Severity.OK]

    assert found(host()) == []
    assert found(host(live(5, "web"), xenstore=XenStore((), (), (PciUse(5, NET),)))) == []
    (missing,) = found(host(paths={}), State.MANUAL)
    assert missing.severity is Severity.WARNING and missing.next
    assert missing.text == f"domain/web cannot start: pci {NET} is not on this host ({HERE}); `lspci -D` lists what is"
    (held,) = found(host(live(7, "other", uuid=uid("other")), xenstore=XenStore((), (), (PciUse(7, NET),))))
    assert held.severity is Severity.CRITICAL and held.text.endswith("is held by domain/other (domid 7)")

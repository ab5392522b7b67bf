"""The doctor's checks of what else runs on the dom0, and of what is left over. Pure; see `planner.doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from xenlocal.model.inspection import Code, Finding, Severity, Unit
from xenlocal.model.observed import Unavailable
from xenlocal.planner.hurdles import SAVE_DIR
from xenlocal.planner.patient import Patient, known
from xenlocal.planner.wishes import is_up

AUTO_DIR = "/etc/xen/auto"
DAEMON, GUESTS, XENDOMAINS = "xenlocal.service", "xenlocal-guests.service", "xendomains.service"
DROP_IN = f"/{XENDOMAINS}.d/50-xenlocal.conf"  # below /usr/lib or /lib, as systemd was built
# Other managers of Xen guests: libvirt (monolithic, modular, its shutdown of guests), ganeti, xapi.
FOREIGN = (
    "libvirtd.service",
    "libvirtd.socket",
    "virtxend.service",
    "virtxend.socket",
    "libvirt-guests.service",
    "ganeti.service",
    "ganeti-noded.service",
    "xapi.service",
    "xenopsd-xc.service",
)
_AGAIN = "`apt install --reinstall xenlocal`"


def save_images(patient: Patient) -> Iterator[Finding]:
    for name in known(patient.facts.saved):
        path, declared = f"{SAVE_DIR}/{name}", name in patient.desired.domains
        what = f"`xl restore {path}`, or, where that state is worth nothing, `rm {path}`"
        if declared:
            text = f"a saved state of domain/{name} lies in {path}: it is not started before that is gone"
            yield Finding(Code.SAVE_IMAGE, Severity.CRITICAL, text, what)
        else:
            text = f"a saved state lies in {path}: restored after its disks have been used, it would damage them"
            yield Finding(Code.SAVE_IMAGE, Severity.WARNING, text, what)


def auto_links(patient: Patient) -> Iterator[Finding]:
    names = known(patient.facts.auto)
    if names:
        text = (
            f"{AUTO_DIR} holds {', '.join(names)}, for xendomains, which starts nothing while xenlocal is installed:"
            " such a domU comes up at boot only where a section declares it with state = running"
        )
        what = f"declare it in /etc/xenlocal, then `rm {' '.join(f'{AUTO_DIR}/{name}' for name in names)}`"
        yield Finding(Code.AUTO_LINK, Severity.WARNING, text, what)


def xendomains(patient: Patient) -> Iterator[Finding]:
    unit = known(patient.facts.units)[XENDOMAINS]
    neutralised = any(each.endswith(DROP_IN) for each in unit.drop_ins) and not unit.stops
    if neutralised or not (unit.active or unit.enabled):
        return
    again = "`systemctl daemon-reload`" if unit.stale else _AGAIN
    text = f"{XENDOMAINS} is not neutralised: it starts guests at boot beside xenlocal, and saves or stops them all"
    yield Finding(Code.XENDOMAINS, Severity.CRITICAL, text, f"{again}; `systemctl cat xendomains` shows what counts")


def units(patient: Patient) -> Iterator[Finding]:
    known_units = known(patient.facts.units)
    guests = "guests are neither started at boot nor shut down cleanly with the host"
    for name, danger in ((DAEMON, "nothing follows the files and nothing is restarted"), (GUESTS, guests)):
        unit = known_units[name]
        severity = Severity.CRITICAL if name == GUESTS else Severity.WARNING
        if wrong := _wrong(unit):
            what = {
                "not installed": _AGAIN,
                "masked": f"`systemctl unmask {name}`, `systemctl enable --now {name}`",
                "not enabled": f"`systemctl enable {name}`",
                "not active": f"`systemctl start {name}`",
            }[wrong]
            yield Finding(Code.UNITS, severity, f"{name} is {wrong}: {danger}", what)
        elif unit.stale:
            text = f"the files of {name} have changed, and systemd still goes by the former ones"
            yield Finding(Code.UNITS, Severity.WARNING, text, "`systemctl daemon-reload`")


def _wrong(unit: Unit) -> str:
    if unit.masked:
        return "masked"
    if not unit.known:
        return "not installed"
    return "" if unit.enabled and unit.active else "not active" if unit.enabled else "not enabled"


def toolstack(patient: Patient) -> Iterator[Finding]:
    known_units = known(patient.facts.units)
    names = [name for name in FOREIGN if known_units[name].active or known_units[name].enabled]
    if names:
        text = f"{', '.join(names)} may start, save or stop guests of this host, too"
        yield Finding(Code.TOOLSTACK, Severity.WARNING, text, f"`systemctl disable --now {' '.join(names)}`")
    working = known(patient.facts.processes).toolstack
    if working:
        text = f"{', '.join(working)} makes or removes guests just now"
        yield Finding(Code.TOOLSTACK, Severity.INFO, text, "wait for its end, then `xenlocal doctor`")


def needrestart(patient: Patient) -> Iterator[Finding]:
    if known(patient.facts.needrestart) is False:
        text = (
            "/etc/needrestart/conf.d/xenlocal.conf is missing or empty: after an upgrade of libraries needrestart tries"
            " to restart what keeps the guests alive"
        )
        what = "`apt install --reinstall -o Dpkg::Options::=--force-confmiss xenlocal`"
        yield Finding(Code.NEEDRESTART, Severity.WARNING, text, what)


def clock(patient: Patient) -> Iterator[Finding]:
    found = known(patient.facts.clock)
    if found.synchronised:
        return
    if not found.service:
        what = "`apt install systemd-timesyncd`, or chrony"
    elif not found.enabled:
        what = "`timedatectl set-ntp true`"
    else:
        what = "`timedatectl timesync-status`, or `chronyc sources`: does it reach a time server?"
    text = "the clock of the dom0 is not synchronised, and every guest takes its time from it at its birth"
    yield Finding(Code.CLOCK, Severity.WARNING, text, what)


def guest_clocks(patient: Patient) -> Iterator[Finding]:
    running = sum(is_up(live) for live in known(patient.observed.domains).values())
    if running:
        text = (
            f"unknown from here: by how much the clocks of the {running} guests that run are off. A guest takes the"
            " time from Xen at its birth, keeps its own from then on, and shows it to nobody"
        )
        yield Finding(Code.GUEST_CLOCK, Severity.INFO, text, "in each guest: `timedatectl`")


def console_log(patient: Patient) -> Iterator[Finding]:
    option = patient.facts.console_option
    logging = known(patient.facts.processes).logging
    if logging is None:
        text = "xenconsoled does not run: no guest has a console, and nothing is logged"
        yield Finding(Code.CONSOLE_LOG, Severity.WARNING, text, "`systemctl status xen`; `/etc/init.d/xen start`")
    elif logging not in ("guest", "all"):
        text = "what guests write to their consoles is not logged: of one that crashes, `xenlocal log` shows nothing"
        if not isinstance(option, Unavailable) and any(f"--log={what}" in option for what in ("guest", "all")):
            what = "/etc/default/xen says so already; it holds from the next boot of the dom0 on"
        else:
            what = (
                "XENCONSOLED_ARGS=--log=guest in /etc/default/xen, `mkdir -p /var/log/xen/console`; it holds from the"
                " next boot of the dom0 on"
            )
        yield Finding(Code.CONSOLE_LOG, Severity.WARNING, text, what)

"""Every verb and option of the command line, as argparse takes them. `act` of the result says what is asked for."""

from __future__ import annotations

import argparse
from typing import Any

from xenlocal import __version__
from xenlocal.model.names import Kind, Target, domain
from xenlocal.model.units import Duration

ENTRIES = 50  # of the history, unless more are asked for
_LONGEST_NAME = 255  # characters
ALL_ENTRIES = 200_000  # more than are ever kept


def build_parser() -> argparse.ArgumentParser:
    """Every verb and option. The man page xenlocal(8) is tested against it."""
    parser = argparse.ArgumentParser(
        prog="xenlocal", description="Make this Xen dom0 match the files in /etc/xenlocal.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"xenlocal {__version__}")
    _global_options(parser, top=True)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        _global_options(added, top=False)
        added.set_defaults(act=name)
        return added

    show = verb("status", "show what is declared, what runs, and what needs attention")
    show.add_argument("name", type=_name, nargs="?", metavar="NAME", help="only this domU, with everything known of it")
    show.add_argument("--watch", action="store_true", help="show it again whenever it changes, until Ctrl-C")
    check = verb("check", "report every problem of the files and, on a dom0, what would not start")
    check.add_argument("files", nargs="*", metavar="FILE", help="these files instead of the configuration directory")
    plan = verb("plan", "show what `apply` would do, and why; changes nothing")
    plan.add_argument("--sh", action="store_true", help="as the shell commands each step runs")
    plan.add_argument(
        "--detailed-exitcode", action="store_true", help="0 nothing to do, 2 steps, 5 only refusals, 1 unknown"
    )
    verb("apply", "make the host match the files now, and wait until it does")
    verb("reload", "read the files again; fails, and changes nothing, unless they are valid")
    for name, text in (
        ("start", "start domUs now; holds until `stop` or the next boot"),
        ("stop", "shut domUs down cleanly and keep them off until `start` or the next boot"),
        ("restart", "shut domUs down cleanly and start them with what the files say now"),
    ):
        verb(name, text).add_argument("names", type=_name, nargs="+", metavar="NAME", help="a declared domU")
    destroy = verb("destroy", "cut domUs off without asking the guest, and keep them off")
    destroy.add_argument("names", type=_name, nargs="+", metavar="NAME", help="a declared domU")
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    skip = verb("skip", "while the host shuts down: wait for these guests no longer, cut them off")
    skip.add_argument("names", type=_name, nargs="+", metavar="NAME", help="a domU that is still running")
    kernel = verb("kernel", "put the kernel of a domU that is off on trial: its modules, then a start, or back")
    kernel.add_argument(
        "names", type=_name, nargs=1, metavar="NAME", help="a declared domU that boots a kernel of dom0"
    )
    kernel.add_argument("--update", action="store_true", required=True, help="give it the modules and start it")
    verb("console", "attach to a domU's console (Ctrl-] leaves it)").add_argument("name", type=_name, metavar="NAME")
    logged = verb("log", "show the last part of a domU's console, also after its end")
    logged.add_argument("name", type=_name, metavar="NAME")
    logged.add_argument("--follow", action="store_true", help="go on showing what comes, until Ctrl-C")
    unlock = verb("unlock", "forget the identities that `hostid = locked` has recorded: these domUs may get another")
    unlock.add_argument("names", type=_name, nargs="+", metavar="NAME", help="a domU whose identity is locked")
    _trash_verbs(verb("trash", "retired volumes: list, restore, purge"))
    verb("why", "why a domU is on or off: the cause, what is behind it, what to type").add_argument(
        "name", type=_name, metavar="NAME", help="a domU"
    )
    past = verb("history", "what was done, why, how it went; which domUs came and went, and why")
    past.add_argument(
        "target",
        nargs="?",
        type=_target,
        metavar="NAME",
        help="only of this domU, or of KIND/NAME such as volume/vg0/x",
    )
    which = past.add_mutually_exclusive_group()
    which.add_argument("--since", type=_duration, metavar="DURATION", help="of the last 30m, 2h, 7d, ...")
    which.add_argument("-n", type=_count, dest="count", metavar="N", help=f"the last N entries (default {ENTRIES})")
    times = verb("blame", "where the time of the last boot or shutdown went, and who had to be destroyed")
    times.add_argument(
        "goal", nargs="?", choices=("boot", "shutdown"), metavar="boot|shutdown", help="default: the last"
    )
    verb("plot", "draw the last boot or shutdown as an SVG timeline").add_argument(
        "goal", choices=("boot", "shutdown"), metavar="boot|shutdown", help="which of them"
    )
    rehearsed = verb("rehearse", "what a reboot of this host, a start or a stop would do; changes nothing")
    play = rehearsed.add_mutually_exclusive_group()
    play.add_argument("--reboot", action="store_true", help="of the host: who comes back, who not, why (the default)")
    play.add_argument("--start", type=_name, metavar="NAME", help="of this domU")
    play.add_argument("--stop", type=_name, metavar="NAME", help="of this domU")
    graph = verb("graph", "the order of the domUs: who waits for whom; needs no host")
    form = graph.add_mutually_exclusive_group()
    for name, text in (("dot", "as input for dot(1) of graphviz"), ("svg", "as an SVG picture; needs graphviz")):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, default="text", help=text)
    verb("doctor", "what is wrong with this host, or could be, and what to type next; changes nothing")
    verb("capacity", "memory and disks: total, used, promised by the files, free, the largest domU that still fits")
    run = verb("run", "the daemon (started by xenlocal.service)")
    run.add_argument("--daemonize", action="store_true", help="go to the background, for hosts without systemd")
    verb("boot", "run the boot goal: start the chosen domUs in order (used by xenlocal-guests.service)")
    verb("shutdown", "run the shutdown goal: stop every guest of the host (used by xenlocal-guests.service)")
    return parser


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _name(text: str) -> str:
    """Whatever a domU may be called, a foreign one too."""
    if not (0 < len(text) <= _LONGEST_NAME and text.isprintable()):
        shown = ascii(text if len(text) <= _LONGEST_NAME else f"{text[:20]}...")
        raise argparse.ArgumentTypeError(f"{shown} is no name of a domU")
    return text


def _target(text: str) -> Target:
    try:
        return Target.parse(_name(text)) if "/" in text else domain(_name(text))
    except ValueError:
        kind, kinds = text.partition("/")[0], ", ".join(Kind)
        raise argparse.ArgumentTypeError(
            f"'{kind}' is no kind of object; write one of {kinds}, or a domU's name"
        ) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of entries; write 1 or more")
    return min(int(text), ALL_ENTRIES)


def _global_options(parser: argparse.ArgumentParser, top: bool) -> None:
    """The same for every verb, before or after it. Only the top level sets defaults: neither hides the other."""
    group = parser.add_argument_group("global options")

    def default(value: object) -> Any:
        return value if top else argparse.SUPPRESS

    group.add_argument("--config-dir", metavar="DIR", default=default("/etc/xenlocal"), help="default /etc/xenlocal")
    group.add_argument(
        "--state-dir", metavar="DIR", default=default("/var/lib/xenlocal"), help="default /var/lib/xenlocal"
    )
    group.add_argument("--run-dir", metavar="DIR", default=default("/run/xenlocal"), help="default /run/xenlocal")
    group.add_argument("--simulate", metavar="FILE", default=default(None), help="act on a simulated dom0 kept in FILE")
    group.add_argument("--json", action="store_true", default=default(False), help="print JSON (schema 1) on stdout")


def _trash_verbs(trash: argparse.ArgumentParser) -> None:
    verbs = trash.add_subparsers(dest="trash_verb", metavar="ACTION")
    listing = verbs.add_parser("list", help="what lies in the trash (the default)", allow_abbrev=False)
    _global_options(listing, top=False)
    for name, text in (
        ("restore", "give volumes their former name back"),
        ("purge", "remove volumes of the trash for good"),
    ):
        added = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        _global_options(added, top=False)
        added.add_argument("names", nargs="+", metavar="VG/LV", help="as `xenlocal trash list` shows it")
        added.set_defaults(act=f"trash {name}")
        if name == "purge":
            added.add_argument(
                "--yes", action="store_true", help="do not ask, and do not wait for trash_keep to be over"
            )

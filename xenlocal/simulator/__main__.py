"""`python3 -m xenlocal.simulator FILE VERB ...`: poke at the simulated dom0 that lives in FILE."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable, Sequence

from xenlocal.simulator import conduct, guests
from xenlocal.simulator.answer import Refused, UnknownCommand
from xenlocal.simulator.filebacked import FileBackedDom0
from xenlocal.simulator.state import Domain, Link, Path, Program, Volume

Verb = Callable[[FileBackedDom0, argparse.Namespace], str]


class Mistake(Exception):
    """Shown to whoever typed it."""


def _domain(dom0: FileBackedDom0, args: argparse.Namespace) -> Domain:
    domain = dom0.state.domain(args.name)
    if domain is None:
        raise Mistake(f"there is no domain {args.name} on the simulated host")
    return domain


def _show(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    state = dom0.state
    if args.json:
        return dom0.json()
    lines = [f"simulated dom0 at {state.now:.1f} s, {state.free_mib()} MiB free, next domid {state.next_domid}"]
    for domain in state.domains:
        ready = "can be stopped" if conduct.stoppable(dom0, domain) else "booting"
        doing = ready if domain.state == "running" else ""
        lines.append(f"domain {domain.domid} {domain.name} {domain.state} {domain.memory_kib >> 10}M {doing}".rstrip())
    for volume in state.volumes:
        lines.append(f"volume {volume.vg}/{volume.lv} {volume.size >> 20}M {','.join(volume.tags)}".rstrip())
    for link in state.links:
        kind, master = link.kind or "hardware", f"in {link.master}" if link.master else ""
        words = ("link", link.name, kind, "up" if link.up else "down", master, *link.addresses)
        lines.append(" ".join(word for word in words if word))
    return "\n".join(lines)


def _end(reason: str) -> Verb:
    def verb(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
        guests.end(dom0, _domain(dom0, args), reason)
        return ""

    return verb


def _destroy(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    guests.destroy(dom0, _domain(dom0, args), by_hand=True)
    return ""


def _hang(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    dom0.state.behaviour(args.name).stop_seconds = None
    return ""


def _guest(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    behaviour = dom0.state.behaviour(args.name)
    if args.boot is not None:
        behaviour.boot_seconds = args.boot
    if args.stop is not None:
        behaviour.stop_seconds = args.stop
    if args.loses is not None:
        behaviour.loses = args.loses
    if args.writes is not None:
        behaviour.write_seconds = args.writes
    if args.deaf is not None:
        behaviour.deaf = args.deaf == "yes"
    return ""


def _listen(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    dom0.state.behaviour(args.name).listen[args.address] = args.seconds
    return ""


def _answer(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    dom0.state.behaviour(args.name).answer[args.host] = args.seconds
    return ""


def _data(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    if not args.key.startswith("data/"):
        raise Mistake("a guest may write below data/ only")
    _domain(dom0, args).extra[args.key] = args.value
    return ""


def _say(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    conduct.say(dom0, _domain(dom0, args), args.text)
    return ""


def _program(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    if not args.path.startswith("/"):
        raise Mistake("a program is named by its absolute path")
    dom0.state.programs[args.path] = Program(args.status, args.seconds)
    return ""


def _bridge(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    if dom0.state.link(args.name):
        raise Mistake(f"there is a link {args.name} already")
    dom0.state.links.append(Link(args.name, dom0.state.next_link, "bridge", up=True))
    dom0.state.next_link += 1
    return ""


def _add_foreign(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    own = args.uuid or str(uuid.uuid5(uuid.NAMESPACE_OID, f"foreign/{args.name}"))
    config = {"name": args.name, "type": "pv", "memory": args.memory, "uuid": own, "kernel": "/boot/vmlinuz"}
    config |= {"on_poweroff": "destroy", "vif": [f"mac=00:16:3e:fe:00:01,bridge={args.bridge}"] if args.bridge else []}
    try:
        domain = guests.create(dom0, config, scope=f"foreign-{args.name}.scope")
    except Refused as refusal:
        raise Mistake(refusal.stderr.strip()) from None
    guests.release(dom0, domain)
    return str(domain.domid)


def _volume(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    vg, _, lv = args.name.partition("/")
    if not lv or dom0.state.group(vg) is None or dom0.state.volume(vg, lv):
        raise Mistake(f"cannot make {args.name}: not VG/LV, no such volume group, or there already")
    dom0.state.volumes.append(Volume(vg, lv, args.mib << 20, dom0.state.next_minor))
    dom0.state.next_minor += 1
    return ""


def _path(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    if args.verb == "add-path":
        dom0.state.paths[args.name] = Path("file", 1 << 20)
    elif dom0.state.paths.pop(args.name, None) is None:
        raise Mistake(f"{args.name} was not added; to take a kernel away, edit `patterns` in FILE")
    return ""


def _wait(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    dom0.sleep(args.seconds)
    return ""


def _run(dom0: FileBackedDom0, args: argparse.Namespace) -> str:
    command = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    answer = dom0.execute(command)
    sys.stderr.write(answer.stderr)
    sys.stdout.write(answer.stdout)
    if answer.status:
        raise SystemExit(answer.status)
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m xenlocal.simulator", description=__doc__)
    parser.add_argument("file", metavar="FILE", help="the state (JSON); made as a small empty host where it is missing")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(name: str, verb: Verb, text: str, *arguments: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        for argument in arguments:
            sub.add_argument(argument, metavar=argument.upper())
        sub.set_defaults(run=verb)
        return sub

    add("show", _show, "what there is").add_argument("--json", action="store_true", help="the whole state")
    add("crash", _end("crash"), "the guest crashes", "name")
    add("poweroff", _end("poweroff"), "the guest powers itself off", "name")
    add("reboot", _end("reboot"), "the guest reboots itself", "name")
    add("destroy", _destroy, "somebody types `xl destroy`", "name")
    add("hang", _hang, "from now on it hears a shutdown request and does not stop", "name")
    guest = add("guest", _guest, "how a guest behaves, now or once it exists", "name")
    guest.add_argument("--boot", type=float, metavar="SECONDS", help="until it can be stopped; from its next birth")
    guest.add_argument("--stop", type=float, metavar="SECONDS", help="from a shutdown request until it is off")
    guest.add_argument("--loses", type=int, metavar="NUMBER", help="so many requests that it acknowledges are lost")
    guest.add_argument("--writes", type=float, metavar="SECONDS", help="writes to its disks so long after a request")
    guest.add_argument("--deaf", choices=("yes", "no"), help="acknowledges no request")
    listen = add("listen", _listen, "it accepts TCP connections, from SECONDS after its birth on", "name")
    listen.add_argument("address", metavar="HOST:PORT")
    listen.add_argument("seconds", type=float, metavar="SECONDS")
    answer = add("answer", _answer, "it answers a ping, from SECONDS after its birth on", "name", "host")
    answer.add_argument("seconds", type=float, metavar="SECONDS")
    add("data", _data, "the running guest writes to xenstore, such as: data web data/x 1", "name", "key", "value")
    add("say", _say, "the running guest writes a line to its console", "name", "text")
    program = add("program", _program, "a program of the administrator's on the host", "path")
    program.add_argument("status", type=int, metavar="STATUS", help="its exit status")
    program.add_argument("--seconds", type=float, default=0.01, metavar="SECONDS", help="how long it takes")
    add("bridge", _bridge, "a bridge made by somebody else", "name")
    foreign = add("add-foreign", _add_foreign, "a domU started by hand with xl; prints its domid", "name")
    foreign.add_argument("--memory", type=int, default=512, metavar="MIB")
    foreign.add_argument("--bridge", metavar="BRIDGE")
    foreign.add_argument("--uuid", metavar="UUID")
    volume = add("volume", _volume, "an LV made by somebody else", "name")
    volume.add_argument("mib", type=int, metavar="MIB")
    add("add-path", _path, "a regular file exists on the host", "name")
    add("remove-path", _path, "... no more", "name")
    wait = add("wait", _wait, "let simulated time pass")
    wait.add_argument("seconds", type=float, metavar="SECONDS")
    run = add("run", _run, "run a command on the simulated host, such as: run xl list")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 it cannot be done, 2 usage; `run` that of the command."""
    args = _parser().parse_args(arguments)
    try:
        dom0 = FileBackedDom0(args.file)
        if args.verb in ("wait",):
            said = args.run(dom0, args)
        else:
            with dom0.hold():
                said = args.run(dom0, args)
    except (Mistake, UnknownCommand, ValueError, OSError) as error:
        print(f"cannot {args.verb}: {error}", file=sys.stderr)
        return 1
    if said:
        print(said.rstrip("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line: argparse, exit codes, printing. It decides nothing; `app` joins the parts."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from xenlocal import __version__, views
from xenlocal.app import App, Places
from xenlocal.model.errors import ConfigError, NoDom0, XenlocalError
from xenlocal.model.units import Duration

OK, FAILED, USAGE, NOT_FOUND, INVALID, PARTLY, NO_DAEMON, BUSY = 0, 1, 2, 3, 4, 5, 6, 75
_WATCH_EVERY = 2.0  # seconds
_ENTRIES = 50  # of the history, unless more are asked for
_ALL = 200_000  # more than are ever kept


def build_parser() -> argparse.ArgumentParser:
    """Every verb and option. The man page xenlocal(8) is tested against it."""
    parser = argparse.ArgumentParser(
        prog="xenlocal", description="Make this Xen dom0 match the files in /etc/xenlocal.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"xenlocal {__version__}")
    _global_options(parser, top=True)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")

    def verb(name: str, run: Callable[[App, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        _global_options(added, top=False)
        added.set_defaults(run=run)
        return added

    show = verb("status", _status, "show what is declared, what runs, and what needs attention")
    show.add_argument("name", nargs="?", metavar="NAME", help="only this domU, with everything known of it")
    show.add_argument("--watch", action="store_true", help="show it again whenever it changes, until Ctrl-C")
    check = verb("check", _check, "read the files and report every problem; needs no host")
    check.add_argument("files", nargs="*", metavar="FILE", help="these files instead of the configuration directory")
    plan = verb("plan", _plan, "show what `apply` would do, and why; changes nothing")
    plan.add_argument("--sh", action="store_true", help="as the shell commands each step runs")
    plan.add_argument(
        "--detailed-exitcode", action="store_true", help="0 nothing to do, 2 steps, 5 only refusals, 1 unknown"
    )
    verb("apply", _ask, "make the host match the files now, and wait until it does")
    verb("reload", _reload, "read the files again; fails, and changes nothing, unless they are valid")
    for name, text in (
        ("start", "start domUs now; holds until `stop` or the next boot"),
        ("stop", "shut domUs down cleanly and keep them off until `start` or the next boot"),
        ("restart", "shut domUs down cleanly and start them with what the files say now"),
    ):
        verb(name, _ask, text).add_argument("names", nargs="+", metavar="NAME", help="a declared domU")
    destroy = verb("destroy", _destroy, "cut domUs off without asking the guest, and keep them off")
    destroy.add_argument("names", nargs="+", metavar="NAME", help="a declared domU")
    destroy.add_argument("--yes", action="store_true", help="do not ask")
    skip = verb("skip", _ask, "while the host shuts down: wait for these guests no longer, cut them off")
    skip.add_argument("names", nargs="+", metavar="NAME", help="a domU that is still running")
    verb("console", _console, "attach to a domU's console (Ctrl-] leaves it)").add_argument("name", metavar="NAME")
    logged = verb("log", _log, "show the last part of a domU's console, also after its end")
    logged.add_argument("name", metavar="NAME")
    logged.add_argument("--follow", action="store_true", help="go on showing what comes, until Ctrl-C")
    _trash_verbs(verb("trash", _trash_list, "retired volumes: list, restore, purge"))
    verb("why", _why, "why a domU is on or off: the cause, what is behind it, what to type").add_argument(
        "name", metavar="NAME", help="a domU"
    )
    past = verb("history", _history, "what was done, why, how it went; which domUs came and went, and why")
    past.add_argument("name", nargs="?", metavar="NAME", help="only of this domU, or of KIND/NAME such as volume/vg0/x")
    which = past.add_mutually_exclusive_group()
    which.add_argument("--since", type=_duration, metavar="DURATION", help="of the last 30m, 2h, 7d, ...")
    which.add_argument("-n", type=_count, dest="count", metavar="N", help=f"the last N entries (default {_ENTRIES})")
    times = verb("blame", _blame, "where the time of the last boot or shutdown went, and who had to be destroyed")
    times.add_argument(
        "goal", nargs="?", choices=("boot", "shutdown"), metavar="boot|shutdown", help="default: the last"
    )
    rehearsed = verb("rehearse", _rehearse, "what a reboot of this host, a start or a stop would do; changes nothing")
    play = rehearsed.add_mutually_exclusive_group()
    play.add_argument("--reboot", action="store_true", help="of the host: who comes back, who not, why (the default)")
    play.add_argument("--start", metavar="NAME", help="of this domU")
    play.add_argument("--stop", metavar="NAME", help="of this domU")
    verb("graph", _graph, "the order of the domUs: who waits for whom; needs no host").add_argument(
        "--dot", action="store_true", help="as input for dot(1) of graphviz"
    )
    run = verb("run", _run, "the daemon (started by xenlocal.service)")
    run.add_argument("--daemonize", action="store_true", help="go to the background, for hosts without systemd")
    verb("boot", _ask, "run the boot goal: start the chosen domUs in order (used by xenlocal-guests.service)")
    verb("shutdown", _ask, "run the shutdown goal: stop every guest of the host (used by xenlocal-guests.service)")
    return parser


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of entries; write 1 or more")
    return min(int(text), _ALL)


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
        added.set_defaults(run=_trash_change)
        if name == "purge":
            added.add_argument(
                "--yes", action="store_true", help="do not ask, and do not wait for trash_keep to be over"
            )


def program() -> NoReturn:
    """The whole process. Python ends only after every thread; where there is no daemon, `shutdown` may have given up
    commands that hang, and the host is not to wait for those."""
    code = main()
    if "shutdown" in sys.argv[1:]:
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.verb is None:
        arguments.run, arguments.name, arguments.watch = _status, None, False
    app = App(Places(arguments.config_dir, arguments.state_dir, arguments.run_dir, arguments.simulate))
    try:
        return int(arguments.run(app, arguments))
    except ConfigError as error:
        return _invalid([asdict(problem) for problem in error.problems], arguments.json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    except app.busy as error:
        return _failed(BUSY, str(error), arguments.json)
    except (XenlocalError, OSError) as error:
        return _failed(NOT_FOUND if isinstance(error, NoDom0) else FAILED, str(error), arguments.json)


def _print(data: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    print(json.dumps(data, indent=2) if as_json else text(data).rstrip("\n"))


def _unknown(names: Sequence[str], as_json: bool) -> int:
    return _failed(NOT_FOUND, f"no domU named {', '.join(names)}; `xenlocal status` lists them", as_json)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _invalid(problems: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": 1, "ok": False, "problems": problems}, indent=2))
    for problem in problems:
        _say(views.problem(problem))
    return INVALID


def _failed(code: int, message: str, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": 1, "ok": False, "message": message}, indent=2))
    _say(f"xenlocal: {message}")
    return code


def _status(app: App, arguments: argparse.Namespace) -> int:
    shown = ""
    while True:
        data = app.status()
        if arguments.name is not None:
            data["domains"] = [row for row in data["domains"] if row["name"] == arguments.name]
            data["volumes"] = [row for row in data["volumes"] if arguments.name in row["domains"]]
            if not data["domains"]:
                return _unknown([arguments.name], arguments.json)
        text = json.dumps(data) if arguments.watch else ""
        if not arguments.watch or text != shown:
            _print(data, arguments.json, views.one_domain if arguments.name is not None else views.status)
        if not arguments.watch:
            return OK
        shown = text
        sys.stdout.flush()
        threading.Event().wait(_WATCH_EVERY)


def _check(app: App, arguments: argparse.Namespace) -> int:
    problems = [asdict(problem) for problem in app.check(arguments.files)]
    _print({"schema": 1, "ok": not problems, "problems": problems}, arguments.json, views.check)
    return INVALID if problems else OK


def _plan(app: App, arguments: argparse.Namespace) -> int:
    plan, scripts = app.plan()
    data = views.plan_json(plan)
    if arguments.sh and arguments.json:
        data["steps"] = [{**step, "sh": list(scripts[step["id"]])} for step in data["steps"]]
    if arguments.sh and not arguments.json:
        print(views.plan_sh(plan, scripts), end="")
    else:
        _print(data, arguments.json, views.plan)
    if not arguments.detailed_exitcode:
        return OK
    if data["unavailable"]:
        return FAILED
    return 2 if not plan.is_empty else PARTLY if plan.refusals else OK


def _ask(app: App, arguments: argparse.Namespace) -> int:
    return _request(app, arguments, arguments.verb, getattr(arguments, "names", ()))


def _request(app: App, arguments: argparse.Namespace, verb: str, names: Sequence[str]) -> int:
    code, result = app.ask(verb, tuple(names), _say)
    if code == INVALID:
        return _invalid(list(result["problems"]), arguments.json)
    if arguments.json:
        print(json.dumps({"schema": 1, "ok": code == OK, **result}, indent=2))
    elif result.get("message"):
        _say(f"xenlocal: {result['message']}")
    return code


def _reload(app: App, arguments: argparse.Namespace) -> int:
    code, result = app.reload()
    if code == INVALID:
        return _invalid(list(result["problems"]), arguments.json)
    if arguments.json:
        print(json.dumps({"schema": 1, "ok": code == OK, "problems": [], **result}, indent=2))
    elif result.get("message"):
        _say(f"xenlocal: {result['message']}")
    return code


def _confirmed(arguments: argparse.Namespace, question: str) -> bool:
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        _failed(USAGE, "nobody is there to ask; use --yes", arguments.json)
        return False
    _say(question)
    try:
        return input("Type yes to go on: ").strip() == "yes"
    except EOFError:
        return False


def _destroy(app: App, arguments: argparse.Namespace) -> int:
    if unknown := sorted({*arguments.names} - app.declared()):
        return _unknown(unknown, arguments.json)
    names = ", ".join(arguments.names)
    if not _confirmed(arguments, f"This cuts off {names} at once, like pulling the plug; unwritten data is lost."):
        return USAGE
    return _request(app, arguments, "destroy", arguments.names)


def _console(app: App, arguments: argparse.Namespace) -> int:
    if not app.console(arguments.name):
        why = f"{arguments.name} is not running; `xenlocal status {arguments.name}` tells why"
        return _failed(NOT_FOUND, why, arguments.json)
    return OK


def _log(app: App, arguments: argparse.Namespace) -> int:
    def show(text: str) -> None:
        if text:
            print(json.dumps({"schema": 1, "text": text}) if arguments.json else text, end=end, flush=True)

    end = "\n" if arguments.json else ""
    if app.log(arguments.name, arguments.follow, show):
        return OK
    why = f"nothing is known of a console of {arguments.name}; {app.how_to_log}"
    return _failed(NOT_FOUND, why, arguments.json)


def _trash_list(app: App, arguments: argparse.Namespace) -> int:
    _print({"schema": 1, "trash": app.trash()}, arguments.json, views.trash)
    return OK


def _trash_change(app: App, arguments: argparse.Namespace) -> int:
    verb = f"trash {arguments.trash_verb}"
    if arguments.trash_verb == "purge":
        rows = {row["name"]: row for row in app.trash()}
        if unknown := [name for name in arguments.names if name not in rows]:
            why = f"not in the trash: {', '.join(unknown)}; `xenlocal trash list` shows what is"
            return _failed(NOT_FOUND, why, arguments.json)
        for name in arguments.names:
            if not rows[name]["expired"] and not arguments.yes:
                why = f"{name} is kept until {rows[name]['keep_until']} (trash_keep); --yes purges it before"
                return _failed(FAILED, why, arguments.json)
        if not _confirmed(arguments, f"This removes {', '.join(arguments.names)} and all data in it for good."):
            return USAGE
    return _request(app, arguments, verb, arguments.names)


def _history(app: App, arguments: argparse.Namespace) -> int:
    limit = arguments.count or (_ENTRIES if arguments.since is None else _ALL)
    _print(app.history(arguments.name, arguments.since, limit), arguments.json, views.history)
    return OK


def _why(app: App, arguments: argparse.Namespace) -> int:
    data = app.why(arguments.name)
    if data is None:
        return _unknown([arguments.name], arguments.json)
    _print(data, arguments.json, views.why)
    return OK


def _blame(app: App, arguments: argparse.Namespace) -> int:
    data = app.blame(arguments.goal)
    if data is None:
        why = f"no {arguments.goal or 'boot or shutdown'} of the guests is remembered"
        return _failed(NOT_FOUND, why, arguments.json)
    _print(data, arguments.json, views.blame)
    return OK


def _rehearse(app: App, arguments: argparse.Namespace) -> int:
    what = "start" if arguments.start is not None else "stop" if arguments.stop is not None else "reboot"
    name = arguments.start or arguments.stop or ""
    data = app.rehearse(what, name)
    if data is None:
        return _unknown([name], arguments.json)
    _print(data, arguments.json, views.rehearsal)
    return OK if data["ok"] else PARTLY


def _graph(app: App, arguments: argparse.Namespace) -> int:
    _print(app.graph(), arguments.json, views.dot if arguments.dot else views.graph)
    return OK


def _run(app: App, arguments: argparse.Namespace) -> int:
    return app.run_daemon(arguments.daemonize)

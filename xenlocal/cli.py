"""The command line: exit codes and printing. It decides nothing; `app` joins the parts."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from xenlocal import inspection_views, views
from xenlocal.app import App
from xenlocal.arguments import ALL_ENTRIES, ENTRIES, build_parser
from xenlocal.model.errors import ConfigError, NoDom0, XenlocalError
from xenlocal.model.text import printable
from xenlocal.parts import Parts, Places

OK, FAILED, USAGE, NOT_FOUND, INVALID, PARTLY, NO_DAEMON, BUSY = 0, 1, 2, 3, 4, 5, 6, 75
_WATCH_EVERY = 2.0  # seconds


def program() -> NoReturn:
    """The whole process. Python ends only after every thread; where there is no daemon, `shutdown` may have given up
    commands that hang, and the host is not to wait for those."""
    _replace_missing_streams()
    code = main()
    if "shutdown" in sys.argv[1:]:
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _replace_missing_streams() -> None:
    """Where one was closed before we began, the next file that is opened would take its number, and get what is
    written there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the rest of the process


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.verb is None:
        arguments.act, arguments.name, arguments.watch = "status", None, False
    app = App(Parts(Places(arguments.config_dir, arguments.state_dir, arguments.run_dir, arguments.simulate)))
    try:
        return _ACTS[arguments.act](app, arguments)
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
    print(json.dumps(data, indent=2) if as_json else printable(text(data).rstrip("\n"), "\n"))


def _unknown(names: Sequence[str], as_json: bool, how: str = "known") -> int:
    return _failed(NOT_FOUND, f"no domU named {', '.join(names)} is {how}; `xenlocal status` lists all", as_json)


def _say(text: str) -> None:
    """What a tool or a guest said must not reach the terminal as a command to it; the same holds for `_print`."""
    print(printable(text, "\n"), file=sys.stderr, flush=True)


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
    problems = [asdict(problem) for problem in app.offline.check(arguments.files)]
    seen = app.startable() if not problems and not arguments.files else None
    data = {"schema": 1, "ok": not problems, "problems": problems, "findings": seen["findings"] if seen else []}
    _print(data, arguments.json, lambda _: views.check(data) if seen is None else inspection_views.check(seen))
    return INVALID if problems else PARTLY if seen and not seen["ok"] else OK


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
        return _unknown(unknown, arguments.json, "declared")
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
    limit = arguments.count or (ENTRIES if arguments.since is None else ALL_ENTRIES)
    data = app.history(arguments.target, arguments.since, limit)
    if data is None:
        return _unknown([arguments.target.name], arguments.json, "or was declared")
    _print(data, arguments.json, views.history)
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


def _plot(app: App, arguments: argparse.Namespace) -> int:
    from xenlocal.drawing.timeline import timeline  # here, as below: no other verb draws

    data = app.plot(arguments.goal)
    if data is None:
        return _failed(NOT_FOUND, f"no {arguments.goal} of the guests is remembered", arguments.json)
    _print(data, arguments.json, timeline)
    return OK


def _rehearse(app: App, arguments: argparse.Namespace) -> int:
    what = "start" if arguments.start is not None else "stop" if arguments.stop is not None else "reboot"
    name = arguments.start or arguments.stop or ""
    data = app.rehearse(what, name)
    if data is None:
        return _unknown([name], arguments.json, "declared")
    _print(data, arguments.json, views.rehearsal)
    return OK if data["ok"] else PARTLY


def _doctor(app: App, arguments: argparse.Namespace) -> int:
    data = app.examine("doctor")
    _print(data, arguments.json, inspection_views.doctor)
    return OK if data["ok"] else FAILED if data["critical"] else PARTLY


def _capacity(app: App, arguments: argparse.Namespace) -> int:
    data = app.examine("capacity")
    _print(data, arguments.json, inspection_views.capacity)
    return OK if data["ok"] else PARTLY


def _graph(app: App, arguments: argparse.Namespace) -> int:
    from xenlocal.drawing.graph import dot

    ways = {"dot": dot, "svg": lambda data: app.offline.laid_out(dot(data)), "text": views.graph}
    _print(app.offline.graph(), arguments.json, ways[arguments.form])
    return OK


def _run(app: App, arguments: argparse.Namespace) -> int:
    return app.run_daemon(arguments.daemonize)


_ACTS: Mapping[str, Callable[[App, argparse.Namespace], int]] = {
    **dict.fromkeys(("apply", "boot", "kernel", "restart", "shutdown", "skip", "start", "stop", "unlock"), _ask),
    **dict.fromkeys(("trash purge", "trash restore"), _trash_change),
    "blame": _blame,
    "capacity": _capacity,
    "check": _check,
    "console": _console,
    "destroy": _destroy,
    "doctor": _doctor,
    "graph": _graph,
    "history": _history,
    "log": _log,
    "plan": _plan,
    "plot": _plot,
    "rehearse": _rehearse,
    "reload": _reload,
    "run": _run,
    "status": _status,
    "trash": _trash_list,
    "why": _why,
}

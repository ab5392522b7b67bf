"""The man pages, the completion, the shipped file and the changelog say what the code does: no more, no less."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from xenlocal import __version__, arguments, cli, config
from xenlocal.config import schema
from xenlocal.model.conffiles import ConfigFile
from xenlocal.model.desired import Host
from xenlocal.model.inspection import Code
from xenlocal.model.probes import XenstoreProbe

ROOT = Path(__file__).parents[2]
PAGE_8 = (ROOT / "docs/xenlocal.8.scd").read_text("utf-8")
PAGE_5 = (ROOT / "docs/xenlocal.conf.5.scd").read_text("utf-8")
SHIPPED = (ROOT / "etc/xenlocal/xenlocal.conf").read_text("utf-8")
COMPLETION = ROOT / "completion/xenlocal"


def sections(page: str, level: str) -> dict[str, str]:
    """Title -> text below it, for headings of one level (`#` or `##`)."""
    found = {}
    for part in re.split(rf"^{level} ", page, flags=re.M)[1:]:
        title, _, text = part.partition("\n")
        found[title] = re.split(r"^#+ ", text, maxsplit=1, flags=re.M)[0] if level == "##" else text
    return found


def entries(text: str) -> dict[str, str]:
    """`*key* = VALUE` and the indented text below it."""
    return {
        match[1]: match[2] + match[3]
        for match in re.finditer(r"^\*(\w+)\* = ([^\n]*)\n((?:\t[^\n]*\n)+)", text, flags=re.M)
    }


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def verbs() -> dict[str, argparse.ArgumentParser]:
    """`status`, `trash`, `trash purge`, ..."""
    found = {}
    for name, parser in subparsers(arguments.build_parser()).items():
        found[name] = parser
        found.update({f"{name} {inner}": each for inner, each in subparsers(parser).items()})
    return found


VERBS = verbs()
GLOBAL = options(arguments.build_parser())
WORDS = re.compile(r"[A-Z/]+(?:\.\.\.)?|\[[^\]]*\]|\w+\|\w+")  # NAME..., [FILE...], a|b: what is no verb in a heading


def described() -> dict[str, str]:
    """Verb -> its text in xenlocal(8). `trash [list]` describes both `trash` and `trash list`."""
    found = {}
    for title, text in sections(sections(PAGE_8, "#")["VERBS"], "##").items():
        found[" ".join(WORDS.sub("", title).split())] = text
        if "[list]" in title:
            found["trash list"] = text
    return found


def test_every_verb_is_described_and_no_other() -> None:
    assert set(described()) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_described_and_no_other(verb: str) -> None:
    documented = set(re.findall(r"^\*(--?[a-z-]+)\*", described()[verb], flags=re.M))
    assert documented == options(VERBS[verb]) - GLOBAL


def test_every_code_of_the_doctor_is_described_and_no_other() -> None:
    assert re.findall(r"^\*([a-z0-9-]+)\*$", described()["doctor"], flags=re.M) == list(Code)


def test_every_global_option_is_described_and_no_other() -> None:
    lines = re.findall(r"^(\*-.*)$", sections(PAGE_8, "#")["OPTIONS"], flags=re.M)
    assert set(re.findall(r"\*(-[a-z-]+)\*", " ".join(lines))) == GLOBAL


def test_every_verb_accepts_the_global_options() -> None:
    for name, parser in VERBS.items():
        missing = GLOBAL - {"--version"} - options(parser)
        assert not missing, f"{name} lacks {missing}"


def test_defaults_of_the_directories_are_those_of_the_parser() -> None:
    parser = arguments.build_parser()
    for option in ("config_dir", "state_dir", "run_dir"):
        text = re.search(rf"\*--{option.replace('_', '-')}\*[^\n]*\n\tDefault _([^_]+)_", PAGE_8)
        assert text and text[1] == parser.get_default(option)


def test_every_exit_status_is_described_and_no_other() -> None:
    codes = {cli.OK, cli.FAILED, cli.USAGE, cli.NOT_FOUND, cli.INVALID, cli.PARTLY, cli.NO_DAEMON, cli.BUSY, 130}
    text = sections(PAGE_8, "#")["EXIT STATUS"]
    assert {int(code) for code in re.findall(r"^\*(\d+)\*$", text, flags=re.M)} == codes


def strings_of_the_code() -> str:
    """Every string of xenlocal; what is filled in at run time is a NUL."""

    def texts(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

    files = sorted((ROOT / "xenlocal").rglob("*.py"))
    return "\n".join(
        text for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))) for text in texts(node)
    )


# What the code fills in, or puts together from two parts, as the headings of TROUBLESHOOTING show it.
FILLED_IN = re.compile(
    r"\.\.\.|domain/\w+|, which |\bgrown\b|tag xenlocal$|\bvg0\b|\beno1\b|/var/lib/xen/save/|/run/\S+"
    r"|needs device//dev/sdb|process 1234|\bNAME\b|\b\d+\w*\b|\S*\.conf:|\(|\)|[:;,] ?$"
)


def test_messages_of_the_troubleshooting_are_those_of_the_code() -> None:
    code = strings_of_the_code()
    text = sections(PAGE_8, "#")["TROUBLESHOOTING"]
    headings = re.findall(r"^(\*.*\*)$", text, flags=re.M)
    assert len(headings) > 10
    for message in re.findall(r"\*([^*]+)\*", " ".join(headings)):
        longest = max((part.strip(" ,;:") for part in FILLED_IN.split(message)), key=len)
        assert longest in code, f"nothing says {longest!r} (of: {message})"


def titles(kind: str) -> str:
    named = {**schema.SECTIONS, **schema.PARTS}[kind]
    title = f"{kind} NAME" if named else kind
    return f"[{title}]" if kind in schema.SECTIONS else f"[[{title}]]"


KINDS = [*schema.SECTIONS, *schema.PARTS]


def test_every_section_is_described_and_no_other() -> None:
    assert list(sections(sections(PAGE_5, "#")["SECTIONS"], "##")) == [titles(kind) for kind in KINDS]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("defaults", "xl")])
def test_every_key_is_described_and_no_other(kind: str) -> None:
    described = entries(sections(PAGE_5, "##")[titles(kind)])
    assert list(described) == list(schema.keys_of(kind))
    for name, key in schema.keys_of(kind).items():
        text = described[name]
        default = re.search(r"Default: \*([^*]+)\*", text)
        wanted = key.default if key.default not in ("", schema.REQUIRED) else None
        assert (default[1] if default else None) == wanted, f"{kind}.{name}: default"
        assert ("Required" in text) == (key.default == schema.REQUIRED or name == "kernel"), f"{kind}.{name}: required"
        unsupported = re.search(r"(?<!\*)(?:N|n)ot yet supported", text) is not None
        assert unsupported == (not key.supported), f"{kind}.{name}: supported"


def test_keys_that_are_not_for_defaults_are_named() -> None:
    text = " ".join(sections(PAGE_5, "##")["[defaults]"].split())
    named = re.search(r"except (.*?)\. ", text)
    assert named and set(re.findall(r"_(\w+)_", named[1])) == {
        key.name for key in schema.KEYS if key.section == "domain" and not key.shared
    }


def test_the_example_is_valid() -> None:
    example = re.search(r"# EXAMPLE\n+```\n(.*?)```", PAGE_5, flags=re.S)
    assert example
    desired = config.read((ConfigFile("example.conf", example[1]),), "host")
    assert list(desired.domains) == ["db", "nas"]


def test_the_shipped_file_is_valid_and_shows_the_defaults() -> None:
    assert config.read((ConfigFile("xenlocal.conf", SHIPPED),), "host").host == Host()
    uncommented = re.sub(r"^#(\w+ = )", r"\1", SHIPPED.partition("#[defaults]")[0], flags=re.M)
    keys = dict(re.findall(r"^(\w+) = (.*)$", uncommented.partition("[host]")[2], flags=re.M))
    assert keys == {name: key.default for name, key in schema.keys_of("host").items()}
    assert config.read((ConfigFile("xenlocal.conf", uncommented),), "host").host == Host()


def test_the_first_file_of_the_readme_and_of_the_shipped_file_are_valid() -> None:
    readme = re.findall(r"```ini\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.S)
    commented = re.search(r"((?:^#   .*\n|^#\n)+)", SHIPPED[SHIPPED.index("/etc/xenlocal/web.conf") :], flags=re.M)
    assert readme and commented
    bridge = "[bridge br0]\nexternal = yes\n"
    for text in (*readme, textwrap.dedent(re.sub(r"^#", "", commented[1], flags=re.M)) + bridge):
        assert list(config.read((ConfigFile("web.conf", text),), "host").domains) == ["web"]


def complete(*words: str) -> set[str]:
    """What bash offers for the last of `words`."""
    script = f'. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); {completer()}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", script, str(COMPLETION), *words], capture_output=True, text=True, timeout=20, check=True
    )
    return set(done.stdout.split())


def completer() -> str:
    match = re.search(r"^complete .*-F (\w+) xenlocal$", COMPLETION.read_text("utf-8"), flags=re.M)
    assert match
    return match[1]


def test_completion_knows_every_verb_and_option() -> None:
    top = {verb for verb in VERBS if " " not in verb}
    assert complete("xenlocal", "") == top
    assert complete("xenlocal", "-") == {option for option in GLOBAL if option.startswith("--")}
    for verb in VERBS:
        if verb == "trash":
            assert complete("xenlocal", "trash", "") == {"list", "restore", "purge"}
        offered = complete("xenlocal", *verb.split(), "-")
        assert offered == {option for option in options(VERBS[verb]) if option.startswith("--")}, verb


def test_the_example_for_guests_writes_what_the_manual_says() -> None:
    unit = (ROOT / "examples/xenlocal-ready.service").read_text("utf-8")
    written = re.search(r"^ExecStart=/usr/bin/xenstore-write (\S+) (\S+)$", unit, flags=re.M)
    assert written and f"*xenstore-write {written[1]} {written[2]}*" in PAGE_5
    text = f"[domain web]\nmemory = 1G\nkernel = /k\n[[ready]]\nxenstore = {written[1]}\n"
    probe = config.read((ConfigFile("web.conf", text),), "host").domains["web"].probe
    assert probe == XenstoreProbe(written[1])
    assert "examples/xenlocal-ready.service" in (ROOT / "debian/xenlocal.examples").read_text("utf-8")


def test_version_is_that_of_the_package() -> None:
    first = (ROOT / "debian/changelog").read_text("utf-8").splitlines()[0]
    assert first.startswith(f"xenlocal ({__version__}) ")

"""No text at all makes the reader raise anything but ConfigError; what is written down is read back."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.support import domain
from xenlocal.config import KEYS, Key, read
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Backing, BlockDevice, Desired, Disk, Domain, ImageFile, LogicalVolume, Nic
from xenlocal.model.errors import ConfigError
from xenlocal.model.probes import TcpProbe
from xenlocal.model.units import Duration, Size

DESIGN = (Path(__file__).parent / "design.conf").read_text(encoding="utf-8")
REALISTIC = (
    DESIGN
    + domain("nas", 'description = """Büro-Speicher\n# kein Kommentar"""')
    + domain("auth", "description = 'a # b'", "[[xl]]", 'cpuid = "host,tm=0"')
)


def problems_of(files: list[ConfigFile]) -> tuple[Problem, ...]:
    try:
        read(files, "host")
    except ConfigError as error:
        found = error.problems
        assert list(found) == sorted(set(found))
        assert found
        assert all(problem.message and problem.line >= 0 for problem in found)
        assert all(str(problem).isprintable() and len(str(problem)) < 9000 for problem in found)
        names = {file.name for file in files}
        assert {problem.file for problem in found} <= names
        return found
    return ()


def test_every_prefix_of_a_file_is_read_or_refused() -> None:
    data = REALISTIC.encode()
    assert problems_of([ConfigFile("f", REALISTIC)]) == ()
    for length in range(len(data)):
        problems_of([ConfigFile("f", data[:length].decode(errors="replace"))])


def test_every_line_can_be_missing_or_repeated() -> None:
    lines = REALISTIC.splitlines(keepends=True)
    for at in range(len(lines)):
        problems_of([ConfigFile("f", "".join(lines[:at] + lines[at + 1 :]))])
        problems_of([ConfigFile("f", "".join(lines[: at + 1] + lines[at:]))])


PIECES = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "]]",
        "domain",
        "bridge",
        "host",
        "defaults",
        "disk",
        "nic",
        "xl",
        "ready",
        " ",
        "web",
        "xvda",
        "=",
        ",",
    ]
    + ["\n"] * 8
    + [
        '"',
        "'",
        '"""',
        "'''",
        "#",
        "none",
        "yes",
        "5",
        "5M",
        "5m",
        "-1",
        "/",
        "/dev/sdb",
        "vg0/a",
        "br0",
        "\\",
        "\0",
        "é",
    ]
    + [
        "[domain web]\n",
        "[[disk xvda]]\n",
        "[[nic eth0]]\n",
        "[[ready]]\n",
        "[[xl]]\n",
        "[bridge br0]\n",
        "[defaults]\n",
    ]
    + [f"{key.name} = " for key in KEYS]
)
TEXT = st.one_of(
    st.text(max_size=200),
    st.lists(PIECES, max_size=60).map("".join),
    st.text("[]=\"'#,\n \t\r\x00\ud800\u2028ab\\;/", max_size=80),
)


@settings(max_examples=500)
@given(st.lists(TEXT, max_size=3))
def test_any_text_is_read_or_refused(texts: list[str]) -> None:
    problems_of([ConfigFile(f"f{n}", text) for n, text in enumerate(texts)])


@settings(max_examples=500)
@given(st.sampled_from([key for key in KEYS if key.section != "host"]), st.text(max_size=40))
def test_any_value_of_any_key_is_read_or_refused(key: Key, value: str) -> None:
    section, name = key.section, key.name
    head = {"domain": "[domain web]", "bridge": "[bridge br0]"}.get(section, f"[domain web]\n[[{section} xvda]]")
    head = head.replace("ready xvda", "ready")
    for text in (value, f"'{value}'", f'"{value}"'):
        problems_of([ConfigFile("f", f"{head}\n{name} = {text}\n")])


NAMES = st.from_regex(r"[a-z][a-z0-9._+-]{0,20}", fullmatch=True).filter(lambda name: name not in ("none", "dom0"))
SIZES = st.integers(4, 1 << 20).map(Size.mib)


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, dict[str, Domain]]:
    """A valid text, and what it must mean. Positions are left out: the text does not know them."""
    text, meant = "[bridge br0]\nports = none\n", {}
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    for number, name in enumerate(names):
        memory, vcpus = draw(SIZES), draw(st.integers(1, 512))
        timeout = Duration(draw(st.integers(1, 100000)))
        after = tuple(draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else ())
        uuid = str(draw(st.uuids(version=4)))
        lines = [f"memory = {memory}", f"vcpus={vcpus}", "kernel = '/k'", f"stop_timeout = {timeout}", f"uuid = {uuid}"]
        if after:
            lines.append(f"after = {', '.join(after)}")
        lines = draw(st.permutations(lines))
        disks, nics = [], []
        for index in range(draw(st.integers(0, 3))):
            key, backing = draw(st.sampled_from(_backings(f"{name}-{index}")))
            readonly, size = draw(st.booleans()), None if key == "device" else draw(st.none() | SIZES)
            lines += [f"[[disk xvd{'abc'[index]}]]", _written(key, backing)]
            lines += [f"size = {size}"] * (size is not None) + ["mode = r"] * readonly
            disks.append((f"xvd{'abc'[index]}", backing, size, readonly))
        for index in range(draw(st.integers(0, 2))):
            mac = f"00:16:3e:00:{number:02x}:{index:02x}"
            lines += [f"[[nic eth{index}]]", "bridge = br0", f"mac = {mac.upper()}"]
            nics.append((f"eth{index}", mac))
        port = draw(st.integers(1, 65535))
        lines += ["[[ready]]", f"tcp = 192.0.2.1:{port}"]
        text += f"[domain {name}]\n" + "".join(f"{draw(st.sampled_from(['', '  ']))}{line}\n" for line in lines)
        here = "?"
        meant[name] = Domain(
            name=name,
            uuid=uuid,
            source=here,  # type: ignore[arg-type]
            memory=memory,
            vcpus=vcpus,
            kernel="/k",
            after=after,
            stop_timeout=timeout,
            disks=tuple(Disk(vdev, backing, here, size, ro) for vdev, backing, size, ro in disks),  # type: ignore[arg-type]
            nics=tuple(Nic(nic, "br0", mac, here) for nic, mac in nics),  # type: ignore[arg-type]
            probe=TcpProbe("192.0.2.1", port),
        )
    return text, meant


def _backings(name: str) -> list[tuple[str, Backing]]:
    return [
        ("volume", LogicalVolume("vg0", f"lv-{name}")),
        ("device", BlockDevice(f"/dev/disk/by-id/{name}")),
        ("file", ImageFile(f"/srv/xen/{name}.img")),
    ]


def _written(key: str, backing: Backing) -> str:
    return f"{key} = {f'{backing.vg}/{backing.lv}' if isinstance(backing, LogicalVolume) else backing.path}"


def _without_places(desired: Desired) -> dict[str, Domain]:
    here: object = "?"
    return {
        name: replace(
            domain,
            source=here,  # type: ignore[arg-type]
            disks=tuple(replace(disk, source=here) for disk in domain.disks),  # type: ignore[arg-type]
            nics=tuple(replace(nic, source=here) for nic in domain.nics),  # type: ignore[arg-type]
        )
        for name, domain in desired.domains.items()
    }


@given(configurations())
def test_what_is_written_is_read_back(written: tuple[str, dict[str, Domain]]) -> None:
    text, meant = written
    assert _without_places(read([ConfigFile("f", text)], "host")) == meant

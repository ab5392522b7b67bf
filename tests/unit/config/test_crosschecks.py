"""What is wrong between objects, over all files."""

import graphlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.config.support import complaints, desired, domain
from xenlocal.config import cycles
from xenlocal.model.desired import Disk, Nic
from xenlocal.model.names import bridge

BR0 = "[bridge br0]\n"


def test_an_object_is_declared_once() -> None:
    twice = domain("a") + domain("a") + BR0
    assert complaints(twice, BR0, "[host]\n[host]\n", "[defaults]\n[host]\n[defaults]\n") == [
        "web.conf:4: domain a: already declared at web.conf:1",
        "x.conf:1: bridge br0: already declared at web.conf:7",
        "y.conf:2: host: already declared at y.conf:1",
        "z.conf:2: host: already declared at y.conf:1",
        "z.conf:3: defaults: already declared at z.conf:1",
    ]


def test_the_second_declaration_is_read_for_its_problems_and_swallows_nothing() -> None:
    text = domain("a") + "[domain a]\nmemroy = 1G\nkernel = /k\n[domain b]\nvcpus = x\nmemory = 1G\nkernel = /k\n"
    assert complaints(text) == [
        "web.conf:4: domain a: already declared at web.conf:1",
        "web.conf:5: domain a: unknown key 'memroy'; did you mean 'memory'?",
        "web.conf:8: domain b: vcpus is 'x'; write a whole number from 1 to 512",
    ]


def test_a_part_is_declared_once() -> None:
    text = domain("a", "[[disk xvda]]", "volume = vg0/a", "[[disk xvda]]", "volume = vg0/b", "sise = 1G")
    text += "[[ready]]\ntcp = h:1\n[[ready]]\ntcp = h:2\n[[xl]]\n[[xl]]\n"
    assert complaints(text) == [
        "web.conf:6: domain a / disk xvda: already declared at web.conf:4",
        "web.conf:8: domain a / disk xvda: unknown key 'sise'; did you mean 'size'?",
        "web.conf:11: domain a / ready: already declared at web.conf:9",
        "web.conf:14: domain a / xl: already declared at web.conf:13",
    ]


def test_a_mac_belongs_to_one_nic() -> None:
    nic = ("[[nic eth0]]", "bridge = br0", "mac = 00:16:3E:00:00:01")
    assert complaints(BR0 + domain("a", *nic), domain("b", *nic)) == [
        "x.conf:6: domain b / nic eth0: mac 00:16:3e:00:00:01 is already that of domain a / nic eth0 (web.conf:7); "
        "write another, or leave mac out"
    ]


def test_a_declared_mac_can_hit_a_derived_one() -> None:
    derived = desired(BR0 + domain("a", "[[nic eth0]]", "bridge = br0")).domains["a"].nics[0].mac
    found = complaints(
        BR0 + domain("a", "[[nic eth0]]", "bridge = br0"),
        domain("b", "[[nic eth0]]", "bridge = br0", f"mac = {derived}"),
    )
    assert len(found) == 1
    assert found[0].startswith(
        f"web.conf:5: domain a / nic eth0: the derived mac {derived} happens to be that of domain b"
    )


def test_a_uuid_belongs_to_one_domain() -> None:
    uuid = "uuid = 4c4c4544-0042-3510-8053-b4c04f4e3132"
    assert complaints(domain("a", uuid) + domain("b", uuid.upper().replace("UUID", "uuid"))) == [
        "web.conf:8: domain b: uuid 4c4c4544-0042-3510-8053-b4c04f4e3132 is already that of domain a (web.conf:4); "
        "take one from uuidgen, or leave uuid out"
    ]


NIC = ("[[nic eth0]]", "bridge = br0")


def test_one_that_was_another_is_the_same() -> None:
    before = desired(BR0 + domain("old", *NIC)).domains["old"]
    after = desired(BR0 + domain("new", "was = old", *NIC)).domains["new"]
    assert (after.uuid, after.nics[0].mac) == (before.uuid, before.nics[0].mac)
    other = desired(BR0 + domain("new", "was = old", "uuid = 4c4c4544-0042-3510-8053-b4c04f4e3132", *NIC)).domains[
        "new"
    ]
    assert other.uuid == "4c4c4544-0042-3510-8053-b4c04f4e3132"


def test_nobody_can_have_been_one_that_is_still_declared() -> None:
    uuid = desired(domain("a")).domains["a"].uuid
    assert complaints(BR0 + domain("a", *NIC), domain("b", "was = a", *NIC)) == [
        "x.conf:4: domain b: it was 'a', and [domain a] is still declared (web.conf:2); "
        f"remove that section, or write uuid = {uuid} here instead of was"
    ]
    found = complaints(domain("a", "was = b") + domain("b", "was = a"))
    assert [each.partition(";")[0] for each in found] == [
        "web.conf:4: domain a: it was 'b', and [domain b] is still declared (web.conf:5)",
        "web.conf:8: domain b: it was 'a', and [domain a] is still declared (web.conf:1)",
    ]


def test_a_domain_has_one_successor() -> None:
    assert complaints(BR0 + domain("a", "was = old", *NIC), domain("b", "was = old", *NIC)) == [
        "x.conf:4: domain b: domain a was 'old' too (web.conf:5); a domU has one successor"
    ]


def test_who_waits_for_a_former_name_is_told_the_present_one() -> None:
    assert complaints(domain("new", "was = old") + domain("a"), domain("web", "needs = old")) == [
        "x.conf:4: domain web: unknown domain 'old' in needs; it is [domain new] now, write new"
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("volume = vg0/x", "volume = vg0/x"),
        ("device = /dev/sdb", "device = /dev/sdb"),
        ("file = /srv/x.img", "file = /srv/x.img"),
        ("volume = vg0/x", "device = /dev/vg0/x"),
        ("volume = vg-0/x-y", "device = /dev/mapper/vg--0-x--y"),
        ("device = /dev/vg0/x", "device = /dev/mapper/vg0-x"),
    ],
)
def test_storage_is_writable_once(first: str, second: str) -> None:
    a, b = domain("a", "[[disk xvda]]", first), domain("b", "[[disk xvda]]", second)
    twice = domain("a", "[[disk xvda]]", first, "[[disk xvdb]]", second)
    kind, _, name = second.partition(" = ")
    said = f"{kind}/{name} is already writable in domain a / disk xvda (web.conf:5); write mode = r"
    assert complaints(a, b) == [f"x.conf:5: domain b / disk xvda: {said} in both, or another {kind}"]
    assert complaints(twice) == [f"web.conf:7: domain a / disk xvdb: {said}, or another {kind}"]
    assert complaints(a + "mode = r\n", b + "mode = r\n") == complaints(twice + "mode = r\n") == []


def test_none_only_reads_what_another_that_runs_writes_to() -> None:
    """It is not started beside it, nor it beside this one: Xen and the planner say no."""
    disk = ("[[disk xvda]]", "volume = vg0/x")
    said = (
        "volume/vg0/x is writable in domain {} / disk xvda ({}:5), so no other domU can have it beside that;"
        " write mode = r in both, or another volume"
    )
    writer, reader = domain("w", *disk), domain("r", *disk, "mode = r")
    assert complaints(writer, reader) == [f"x.conf:5: domain r / disk xvda: {said.format('w', 'web.conf')}"]
    assert complaints(reader, writer) == [f"web.conf:5: domain r / disk xvda: {said.format('w', 'x.conf')}"]
    assert len(complaints(writer, reader, domain("r2", *disk, "mode = r"))) == 2
    assert len(complaints(domain("w", *disk, "mode = w!"), reader)) == 1
    for state in ("manual", "stopped"):  # one at a time may be meant
        later = reader.replace("kernel", f"state = {state}\nkernel")
        assert complaints(writer, later) == complaints(later, writer) == []
        later = writer.replace("kernel", f"state = {state}\nkernel")
        assert complaints(later, reader) == complaints(reader, later) == []


def test_a_disk_is_shared_by_those_that_all_say_so() -> None:
    disk = ("[[disk xvda]]", "volume = vg0/x")
    shared = (*disk, "mode = w!")
    assert complaints(domain("a", *shared), domain("b", *shared)) == []
    said = "volume/vg0/x is already writable in domain a / disk xvda (web.conf:5); mode = w! is for all that share it:"
    assert complaints(domain("a", *disk), domain("b", *shared)) == [
        f"x.conf:5: domain b / disk xvda: {said} write it in domain a / disk xvda (web.conf:5) too, or mode = r in"
        " both, or another volume"
    ]
    assert complaints(domain("a", *shared), domain("b", *disk)) == [
        f"x.conf:5: domain b / disk xvda: {said} write it in domain b / disk xvda (x.conf:5) too, or mode = r in"
        " both, or another volume"
    ]
    [twice] = complaints(domain("a", *shared, "[[disk xvdb]]", "volume = vg0/x", "mode = w!"))
    assert twice.endswith("(web.conf:5); write mode = r, or another volume"), "one guest has it once"


@pytest.mark.parametrize(
    ("backing", "key", "value", "other"),
    [("volume = vg0/x", "pool", "fast", "slow"), ("file = /srv/x", "allocate", "full", "sparse")],
)
def test_what_several_have_is_made_in_one_way(backing: str, key: str, value: str, other: str) -> None:
    disk = ("[[disk xvda]]", backing, "mode = r")
    a = domain("a", *disk, f"{key} = {value}")
    [found] = complaints(a, domain("b", *disk, f"{key} = {other}"))
    assert found.startswith(f"x.conf:7: domain b / disk xvda: {key} of ")
    assert found.endswith(f"is {value} in domain a / disk xvda (web.conf:7); write the same here, or leave it out")
    assert complaints(a, domain("b", *disk, f"{key} = {value}")) == complaints(a, domain("b", *disk)) == []


def test_every_further_writer_is_told() -> None:
    text = "".join(domain(name, "[[disk xvda]]", "volume = vg0/x") for name in "abc")
    assert [line.split(": ")[1] for line in complaints(text)] == ["domain b / disk xvda", "domain c / disk xvda"]


def test_a_volume_of_an_absent_domain_is_nobody_elses() -> None:
    disk = ("[[disk xvda]]", "volume = vg0/x")
    found = [
        "x.conf:5: domain b / disk xvda: volume/vg0/x also belongs to domain a / disk xvda (web.conf:6), "
        "which is absent: it would be retired under this domU; remove it there"
    ]
    assert complaints(domain("a", "state = absent", *disk), domain("b", *disk)) == found
    assert complaints(domain("a", "state = absent", *disk), domain("b", *disk, "mode = r")) == found
    [later] = complaints(domain("b", *disk), domain("a", "state = absent", *disk))
    assert later.startswith(
        "web.conf:5: domain b / disk xvda: volume/vg0/x also belongs to domain a / disk xvda (x.conf:6)"
    )


def test_a_device_outlives_an_absent_domain() -> None:
    disk = ("[[disk xvda]]", "device = /dev/sdb")
    assert complaints(domain("a", "state = absent", *disk), domain("b", *disk)) == []


def test_a_bridge_must_be_declared() -> None:
    nic = domain("a", "[[nic eth0]]", "bridge = br-lam")
    assert complaints("[bridge br-lan]\n" + nic) == [
        "web.conf:6: domain a / nic eth0: unknown bridge 'br-lam'; did you mean 'br-lan'?"
    ]
    assert complaints("[bridge br-lam]\nmtu = x\n", nic) == [
        "web.conf:2: bridge br-lam: mtu is 'x'; write a whole number from 68 to 65535"
    ]


def test_a_port_has_one_bridge() -> None:
    assert complaints("[bridge br1]\nports = eno1, eno2\n", "[bridge br0]\nports = eno2\n") == [
        "x.conf:2: bridge br0: port 'eno2' is already a port of bridge br1 (web.conf:2); a port has one bridge"
    ]
    assert complaints("[bridge br1]\nports = br0\n[bridge br0]\nports = none\n") == [
        "web.conf:2: bridge br1: port 'br0' is itself a bridge; remove it"
    ]


def test_names_in_after_and_needs_exist() -> None:
    assert complaints(domain("auth") + domain("a", "after = atuh", "needs = nobody")) == [
        "web.conf:7: domain a: unknown domain 'atuh' in after; did you mean 'auth'?",
        "web.conf:8: domain a: unknown domain 'nobody' in needs; declare [domain nobody]",
    ]


def test_a_misspelt_header_is_one_problem_not_two() -> None:
    assert complaints("[dommain db]\nanything = x\n" + domain("a", "needs = db")) == [
        "web.conf:1: dommain db: unknown section [dommain db]; did you mean [domain db]?"
    ]


def test_nothing_is_called_unknown_while_a_file_cannot_be_read() -> None:
    assert complaints(domain("a", "needs = db", "[[nic eth0]]", "bridge = br0"), "[domain db]\n\0\0\0") == [
        "x.conf:2: the file holds NUL bytes; it is no text, or was cut off by a crash"
    ]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_need_that_never_comes(state: str) -> None:
    assert complaints(domain("db", f"state = {state}") + domain("a", "needs = db")) == [
        f"web.conf:8: domain a: it needs 'db', which is {state} (web.conf:4), so it can never start; "
        "write after = db instead"
    ]
    assert complaints(domain("db", f"state = {state}") + domain("a", "after = db")) == []
    assert complaints(domain("db", f"state = {state}") + domain("a", "needs = db", "state = manual")) == []


def test_a_need_of_a_manual_domain_may_come() -> None:
    assert complaints(domain("db", "state = manual") + domain("a", "needs = db")) == []


def test_circles_are_named_once() -> None:
    text = domain("c", "needs = a") + domain("a", "after = b") + domain("b", "after = c, d") + domain("d", "after = b")
    tail = "(each waits for the next); remove one of them"
    assert complaints(text) == [
        f"web.conf:8: domain a: after and needs go in a circle: a -> b -> c -> a {tail}",
        f"web.conf:12: domain b: after and needs go in a circle: b -> d -> b {tail}",
    ]


def test_defaults_do_not_make_a_domain_wait_for_itself() -> None:
    read = desired("[defaults]\nafter = nas\n" + domain("nas") + domain("a"))
    assert (read.domains["nas"].after, read.domains["a"].after) == ((), ("nas",))


def test_a_reference_of_defaults_is_told_once_where_it_stands() -> None:
    assert complaints("[defaults]\nafter = nsa\n" + domain("nas") + domain("a")) == [
        "web.conf:2: defaults: unknown domain 'nsa' in after; did you mean 'nas'?"
    ]


NODES = "abcdefg"
GRAPHS = st.fixed_dictionaries({node: st.sets(st.sampled_from(NODES), max_size=4) for node in NODES})


@given(GRAPHS)
def test_circles_are_found_exactly_where_they_are(sets: dict[str, set[str]]) -> None:
    graph = {node: tuple(sorted(others - {node})) for node, others in sets.items()}
    found = cycles.find(graph)
    for cycle in found:
        assert len(set(cycle)) == len(cycle) > 1
        assert cycle[0] == min(cycle)
        assert all(after in graph[node] for node, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    assert len(set(found)) == len(found)
    without = {edge for cycle in found for edge in zip(cycle, [*cycle[1:], cycle[0]], strict=True)}
    left = {node: [other for other in others if (node, other) not in without] for node, others in graph.items()}
    tuple(graphlib.TopologicalSorter(left).static_order())  # raises where a circle was not reported


def test_a_chain_of_thousands_is_no_circle() -> None:
    graph = {f"d{n}": (f"d{n + 1}",) for n in range(5000)} | {"d5000": ()}
    assert cycles.find(graph) == []
    assert len(cycles.find(graph | {"d5000": ("d0",)})) == 1


def test_a_disk_that_is_not_attached_may_be_that_of_another() -> None:
    disk = ("[[disk xvdb]]", "volume = vg0/data")
    found = desired(domain("a", *disk, "attached = no"), domain("b", *disk)).domains
    assert not found["a"].disks and len(found["b"].disks) == 1
    assert [each.backing for each in found["a"].unplugged if isinstance(each, Disk)] == [found["b"].disks[0].backing]
    assert len(complaints(domain("a", *disk), domain("b", *disk))) == 1


def test_a_nic_that_is_not_attached_is_not_given_to_the_guest() -> None:
    (found,) = desired(BR0 + domain("a", *NIC, "attached = no")).domains.values()
    assert not found.nics and [each.name for each in found.unplugged if isinstance(each, Nic)] == ["eth0"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((*NIC, "mac = 00:16:3e:00:00:01"), "mac 00:16:3e:00:00:01 is already that of domain b / nic eth0"),
        (
            ("uuid = 4c4c4544-0042-3510-8053-b4c04f4e3132",),
            "uuid 4c4c4544-0042-3510-8053-b4c04f4e3132 is already that of domain b",
        ),
        (("pci = 03:00.0",), "pci 0000:03:00.0 is already given to domain b"),
        (("was = old",), "domain b was 'old' too"),
        (("[[disk xvda]]", "volume = vg0/x"), "volume/vg0/x is already writable in domain b / disk xvda"),
    ],
)
def test_of_two_that_quarrel_the_one_that_stands_later_is_told(lines: tuple[str, ...], said: str) -> None:
    """Whatever they are called: by the names of the files, then by the lines."""
    [found] = complaints(BR0 + domain("b", *lines), domain("a", *lines))
    assert found.startswith("x.conf:") and said in found
    [found] = complaints(BR0 + domain("b", *lines) + domain("a", *lines))
    assert said in found and " domain a" in found.partition(said)[0]


def test_a_clash_with_one_that_quarrels_about_its_former_name_is_told_too() -> None:
    uuid = desired(domain("a")).domains["a"].uuid
    found = complaints(domain("a"), domain("b", "was = a"), domain("c", f"uuid = {uuid}"))
    assert [each.partition(";")[0] for each in found] == [
        "x.conf:4: domain b: it was 'a', and [domain a] is still declared (web.conf:1)",
        f"y.conf:4: domain c: uuid {uuid} is already that of domain a (web.conf:1)",
    ]


def test_the_first_free_display_is_offered() -> None:
    def screen(name: str, display: int) -> str:
        return f"[domain {name}]\ntype = hvm\nmemory = 1G\nvnc = 127.0.0.1:{display}\n"

    [found] = complaints(screen("a", 5) + screen("b", 5))
    assert found.endswith("write another, such as 1")
    [found] = complaints("".join(map(screen, "abcd", (1, 2, 4, 2))))
    assert found == (
        "web.conf:16: domain d: display 2 is already that of domain b (web.conf:8); write another, such as 3"
    )


def test_a_device_of_an_absent_domain_is_free() -> None:
    given = ("pci = 03:00.0",)
    assert complaints(domain("a", "state = absent", *given), domain("b", *given)) == []
    [found] = complaints(domain("a", "state = stopped", *given), domain("b", *given))
    assert "already given to domain a" in found


def test_a_pci_and_a_usb_device_are_told_by_their_own_keys() -> None:
    def guest(name: str) -> str:
        return f"[domain {name}]\ntype = hvm\nmemory = 1G\npci = 03:00.0\nusb = 1-2\n"

    assert complaints(guest("a") + guest("b")) == [
        "web.conf:9: domain b: pci 0000:03:00.0 is already given to domain a (web.conf:4); a device has one guest",
        "web.conf:10: domain b: usb 1-2 is already given to domain a (web.conf:5); a device has one guest",
    ]


def test_two_absent_domains_do_not_retire_one_volume() -> None:
    gone = ("state = absent", "[[disk xvda]]", "volume = vg0/x")
    [found] = complaints(domain("a", *gone), domain("b", *gone))
    assert found.startswith("x.conf:6: domain b / disk xvda: volume/vg0/x is already writable in domain a / disk xvda")


def test_an_absent_domain_alone_is_no_quarrel() -> None:
    assert complaints(domain("a", "state = absent", "[[disk xvda]]", "volume = vg0/x")) == []


def test_every_further_writer_is_told_of_the_first() -> None:
    text = "".join(domain(name, "[[disk xvda]]", "volume = vg0/x") for name in "abc")
    of_the_first = ["is already writable in domain a / disk xvda (web.conf:5)" in each for each in complaints(text)]
    assert of_the_first == [True, True]


def test_multipath_names_that_begin_alike_are_two_devices() -> None:
    """The names of LVs below /dev/mapper hold one single dash."""
    disks = ("[[disk xvda]]", "device = /dev/mapper/array-bay-1", "[[disk xvdb]]", "device = /dev/mapper/array-bay-2")
    assert complaints(domain("a", *disks)) == []
    assert complaints(domain("a", "[[disk xvda]]", "volume = array/bay", *disks[2:])) == []


def test_a_bridge_that_is_declared_can_be_waited_for() -> None:
    found = desired(BR0 + domain("a", "after = bridge/br0", "needs = bridge/br0")).domains["a"]
    assert found.after_things == found.needs_things == (bridge("br0"),)


@pytest.mark.parametrize("unread", ["[domain db\n", "\0"])
def test_nothing_is_called_unknown_whichever_file_cannot_be_read(unread: str) -> None:
    waits = domain("a", "needs = db", "after = bridge/br9, iscsi/bay9", "[[nic eth0]]", "bridge = br0")
    for texts in ((unread, waits), (waits, unread), (unread, waits, domain("c"))):
        assert len(complaints(*texts)) == 1

"""Random hosts, wishes and histories: what holds of every plan; that plans come to rest (DESIGN rule 8)."""

from __future__ import annotations

from dataclasses import replace
from graphlib import TopologicalSorter
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.planner.build import (
    GIB,
    NOW,
    block_facts,
    br,
    bridge_link,
    desired,
    device,
    dom,
    file_facts,
    hardware,
    image,
    link,
    live,
    lv,
    network,
    observed,
    plan,
    rec,
    storage,
    uid,
    vbd,
    volume,
)
from tests.unit.planner.world import apply, apply_plan
from xenlocal.model import actions as act
from xenlocal.model import host_actions as host_act
from xenlocal.model.desired import Bridge, Desired, Disk, Domain, OnCrash, OnPoweroff, State
from xenlocal.model.memory import Hand, Memory, Off, Record
from xenlocal.model.names import trash_name
from xenlocal.model.observed import Observed, Table, Unavailable, XenStore
from xenlocal.model.plan import Goal, Plan
from xenlocal.model.storage import KEPT_TAG, OUR_TAG
from xenlocal.model.units import Size
from xenlocal.planner.hurdles import save_image
from xenlocal.planner.looks import learn

EXAMPLES = 60
NAMES = ["a", "b", "c", "d"]
SIZES = st.sampled_from([None, Size.mib(4), GIB, Size.mib(2048)])
SLOW = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])


class World(NamedTuple):
    want: Desired
    seen: Observed
    kept: Memory


@st.composite
def disks(draw: st.DrawFn, name: str) -> tuple[Disk, ...]:
    choices = [
        lv(f"{name}0", draw(SIZES)),
        lv(f"{name}1", draw(SIZES), "xvdb"),
        image(f"/srv/{name}.img", draw(SIZES), "xvdc"),
        device("/dev/mapper/vg0-shared", "xvdd"),
        lv("shared", draw(SIZES), "xvde", readonly=draw(st.booleans())),
    ]
    return tuple(draw(st.lists(st.sampled_from(choices), max_size=3, unique_by=lambda disk: disk.vdev)))


@st.composite
def domains(draw: st.DrawFn, name: str, earlier: list[str]) -> Domain:
    before = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else []
    cut = draw(st.integers(0, len(before)))
    return dom(
        name,
        *draw(disks(name)),
        state=draw(st.sampled_from(State)),
        after=tuple(before[:cut]),
        needs=tuple(before[cut:]),
        memory=draw(st.sampled_from([GIB, Size.mib(4096)])),
        on_poweroff=draw(st.sampled_from(OnPoweroff)),
        on_crash=draw(st.sampled_from(OnCrash)),
        critical=draw(st.booleans()),
        bridges=tuple(draw(st.lists(st.sampled_from(["br0", "br1"]), max_size=1))),
        kernel=draw(st.sampled_from([None, None, None, "/boot/none"])),
        hostid=draw(st.sampled_from([None, "locked"])),
    )


@st.composite
def records(draw: st.DrawFn, name: str, domid: int | None) -> Record:
    times = st.sampled_from([NOW - 5000, NOW - 70, NOW - 1])
    return rec(
        name,
        declared=draw(st.sampled_from(["", "running", "stopped", "manual"])),
        domid=domid,
        born=None if domid is None else NOW - 500,
        ready=domid is not None and draw(st.booleans()),
        gave_up_waiting=draw(st.booleans()),
        off=draw(st.sampled_from([None, *Off])) if domid is None else None,
        off_since=draw(times),
        hand=draw(st.sampled_from([None, None, *Hand])),
        hand_domid=draw(st.sampled_from([None, domid])),
        stop_asked=draw(st.sampled_from([None, NOW - 10])) if domid is not None else None,
        crashes=tuple(sorted(draw(st.lists(times, max_size=5)))),
        failures=draw(st.integers(0, 3)),
        retry_at=draw(st.sampled_from([None, NOW - 1, NOW + 50])),
        running=draw(st.sampled_from([{}, {"memory": "512", "maxmem": "8192"}])),
    )


def bridges_(name: str) -> st.SearchStrategy[Bridge]:
    return st.builds(
        br,
        st.just(name),
        mtu=st.sampled_from([None, 9000]),
        ports=st.sampled_from([None, (), ("eno1",)]),
        external=st.booleans(),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    made = [draw(domains(name, names[:index])) for index, name in enumerate(names)]
    bridges = [draw(bridges_(name)) for name in draw(st.sampled_from([[], ["br0"], ["br0", "br1"]]))]
    want = desired(*made, *bridges)
    lives, vbds, kept = [], [], []
    for number, name in enumerate(["theirs", *NAMES], 3):
        here = draw(st.sampled_from(["", "running", "running", "shutdown", "crashed", "dying", "paused"]))
        foreign = name == "theirs" or draw(st.integers(0, 9)) == 0
        if here:
            lives.append(live(number, name, here, uuid=f"foreign-{name}" if foreign else uid(name)))
            vbds += [vbd(number, f"/dev/vg0/{name}0", None)] if draw(st.booleans()) else []
        if name != "theirs" and draw(st.booleans()):
            kept.append(draw(records(name, number if here and not foreign else None)))
    if draw(st.integers(0, 4)) == 0:
        vbds.append(vbd(3, "/dev/vg0/shared", (253, 99)))
    held = {each.params for each in vbds}
    volumes = []
    for lv_name in [*(f"{name}{number}" for name in NAMES for number in "01"), "shared", "foreign"]:
        form = draw(st.sampled_from(["", "", "ours", "ours", "kept", "foreign", "trash"]))
        tags = {"foreign": set[str](), "kept": {OUR_TAG, KEPT_TAG}}.get(form, {OUR_TAG})
        final = trash_name(lv_name, 1) if form == "trash" else lv_name
        if form:
            volumes.append(
                volume(
                    final,
                    draw(SIZES) or GIB,
                    tags=frozenset(tags),
                    active=draw(st.integers(0, 5)) > 0,
                    opened=f"/dev/vg0/{lv_name}" in held or draw(st.integers(0, 7)) == 0,
                    device=(253, 99) if lv_name == "shared" else None,
                )
            )
    files = [f"/srv/{name}.img" for name in sorted(draw(st.sets(st.sampled_from(NAMES))))]
    paths = {path: file_facts(path, draw(SIZES) or GIB) for path in files}
    if any(each.lv == "shared" for each in volumes):
        paths["/dev/mapper/vg0-shared"] = block_facts("/dev/mapper/vg0-shared", "/dev/dm-9", (253, 99))
    if draw(st.integers(0, 5)) == 0:
        paths[save_image("a")] = file_facts(save_image("a"))
    links = [link("eno1", master=draw(st.sampled_from([None, "br0", "br7"])))]
    for name in sorted(draw(st.sets(st.sampled_from(["br0", "br1"])))):
        links.append(bridge_link(name, alias=draw(st.sampled_from(["", "xenlocal"]))))
    locks = [draw(st.sampled_from([[], [], [each.identity], [replace(each.identity, macs=("x",))]])) for each in made]
    seen = observed(
        *lives,
        identities={lock.uuid: lock for found in locks for lock in found},
        storage=storage(*volumes, free=draw(st.sampled_from([Size.mib(1200), Size.mib(90000)]))),
        network=network(*links, default=draw(st.sampled_from([[], ["br0"], ["eno1"]]))),
        paths=paths,
        xenstore=XenStore(tuple(vbds)),
        hardware=hardware(draw(st.sampled_from([Size.mib(3000), Size.mib(64000)]))),
    )
    remembered = Memory(
        {each.uuid: each for each in kept},
        boot_done=draw(st.integers(0, 5)) > 0,
        shutting_down=draw(st.sampled_from([None, None, None, NOW - 1])),
    )
    return World(want, seen, learn(remembered, want, seen, {}, NOW))


@given(worlds(), st.sampled_from(Goal))
@SLOW
def test_the_same_input_gives_the_same_plan_and_its_edges_are_in_order(world: World, goal: Goal) -> None:
    made = plan(*world, goal)
    assert made == plan(*world, goal)
    names = {step.id for step in made.steps}
    assert len(names) == len(made.steps)
    assert all({*step.needs, *step.after} <= names for step in made.steps)
    list(TopologicalSorter({step.id: {*step.needs, *step.after} for step in made.steps}).static_order())


def assert_safe(action: act.Action, world: World, goal: Goal) -> None:
    want, seen, kept = world
    assert isinstance(seen.domains, dict) and not isinstance(seen.storage, Unavailable)
    ours = {domain.uuid for domain in want.domains.values()}
    match action:
        case act.StopDomain():
            target = seen.domains[action.domid]
            assert target.uuid == action.uuid and not target.is_down and target.state != "dying"
            assert action.uuid in ours or goal is Goal.SHUTDOWN
            assert action.destroy == (action.uuid in kept.records) or action.uuid in ours
        case act.DestroyDomain(uuid=uuid, domid=domid):
            target, record = seen.domains[domid], kept.records[uuid]
            assert target.uuid == uuid and (uuid in ours or goal is Goal.SHUTDOWN)
            by_hand = record.hand is Hand.DESTROY and record.hand_domid == domid
            assert target.is_down if action.verb == "reap" else by_hand
        case act.StartDomain(name=name, uuid=uuid):
            assert uuid in ours and want.domains[name].state is not State.ABSENT
            assert not isinstance(seen.identities, Unavailable)
            lock = seen.identities.get(uuid, want.domains[name].identity)
            assert lock.is_same_as(want.domains[name].identity)
            assert all(each.name != name or each.uuid == uuid for each in seen.domains.values())
            assert all(each.uuid != uuid or each.state != "dying" for each in seen.domains.values())
        case act.AwaitReady(uuid=uuid) | act.SetLive(uuid=uuid) | act.StageConfig(uuid=uuid):
            assert uuid in ours
        case act.AttachDevice(uuid=uuid, domid=domid, spec=spec):
            assert uuid in ours and seen.domains[domid].uuid == uuid and not isinstance(seen.xenstore, Unavailable)
            path = spec.partition("target=")[2]
            assert not any(each.params == path and (each.writable or "rw" in spec) for each in seen.xenstore.vbds)
        case act.LockIdentity(identity):
            assert want.domains[identity.name].is_locked and want.domains[identity.name].identity == identity
        case host_act.CreateVolume(vg, lv_name):
            assert (vg, lv_name) not in seen.storage.volumes
            assert not any(name.endswith(f".{lv_name}") for _, name in seen.storage.volumes)
        case host_act.GrowVolume(vg, lv_name, size):
            assert seen.storage.volumes[vg, lv_name].ours and size > seen.storage.volumes[vg, lv_name].size
        case (
            host_act.RetireVolume(vg, lv_name)
            | host_act.UntagVolume(vg, lv_name)
            | host_act.ActivateVolume(vg, lv_name)
        ):
            assert seen.storage.volumes[vg, lv_name].ours
        case host_act.ResizeFile(path, size):
            assert not isinstance(seen.paths, Unavailable)
            assert path not in seen.paths or size > seen.paths[path].size
        case host_act.ChangeBridge(name=name):
            assert not isinstance(seen.network, Unavailable)
            assert not want.bridges[name].external
            assert name not in seen.network.links or seen.network.links[name].alias == "xenlocal"
            assert action.create or name not in seen.network.default_links or action.way_back is not None
        case _:
            raise AssertionError(f"the planner never makes {action}")


@given(worlds(), st.sampled_from(Goal))
@SLOW
def test_no_step_names_what_is_not_ours_or_destroys_what_has_not_ended(world: World, goal: Goal) -> None:
    for step in plan(*world, goal).steps:
        assert_safe(step.action, world, goal)


def writers(seen: Observed) -> dict[object, set[int]]:
    """Who holds what, by the identity of the disk."""
    assert not isinstance(seen.xenstore, Unavailable)
    found: dict[object, set[int]] = {}
    for each in seen.xenstore.vbds:
        shared = each.device == (253, 99) or "shared" in each.params
        found.setdefault("shared" if shared else each.params, set()).add(each.domid)
        if each.writable:
            found.setdefault(("writable", "shared" if shared else each.params), set()).add(each.domid)
    return found


@given(worlds())
@SLOW
def test_no_volume_is_ever_writable_in_two_domains(world: World) -> None:
    seen, kept = world.seen, world.kept
    before = {disk: len(holders) for disk, holders in writers(seen).items()}
    for step in plan(*world).steps:
        seen, kept = apply(step.action, seen, kept, world.want, NOW)
        found = writers(seen)
        for disk, domids in found.items():
            if isinstance(disk, tuple):
                assert len(found[disk[1]]) <= max(1, before.get(disk[1], 0)), f"{disk} is held by {domids}"


@given(worlds())
@SLOW
def test_plans_come_to_rest(world: World) -> None:
    """Each round does something or is the last; what stays undone is refused aloud, and asks for nothing."""
    want, seen, kept = world
    made = plan(want, seen, kept)
    rounds = 0
    while not made.is_empty:
        rounds += 1
        assert rounds <= 6, f"no rest: {[step.id for step in made.steps]}"
        seen, kept = apply_plan(made, seen, kept, want, NOW)
        made = plan(want, seen, kept)
    seen, kept = apply_plan(made, seen, kept, want, NOW)  # awaited readiness lets dependants go on
    for _ in range(6):
        made = plan(want, seen, kept)
        seen, kept = apply_plan(made, seen, kept, want, NOW)
    again = plan(want, seen, kept)
    assert again.is_empty and not again.steps
    assert plan(want, seen, kept) == again
    if kept.boot_done and kept.shutting_down is None:
        assert_as_declared(want, seen, kept, again)


def assert_as_declared(want: Desired, seen: Observed, kept: Memory, made: Plan) -> None:
    """A domU is as its section says, or something says why it is not (rule 6)."""
    up = {each.uuid for each in seen.by_uuid().values() if not each.is_down and each.state != "dying"}
    spoken = {each.target for each in made.refusals} | {each.target for each in made.notices}
    for domain in want.domains.values():
        record = kept.records[domain.uuid]
        if domain.target in spoken or record.hand is not None:
            continue
        if domain.state is State.RUNNING:
            assert domain.uuid in up
        if domain.state in (State.STOPPED, State.ABSENT):
            assert domain.uuid not in up


@given(worlds(), st.sets(st.sampled_from(Table), min_size=1), st.sampled_from(Goal))
@SLOW
def test_nothing_destructive_follows_from_unknown(world: World, missing: set[Table], goal: Goal) -> None:
    seen = replace(world.seen, **{str(table): Unavailable("failed") for table in missing})
    made = plan(world.want, seen, world.kept, goal)
    assert set(dict(made.unavailable)) == {str(table) for table in missing}
    for step in made.steps:
        match step.action:
            case act.StopDomain() | act.DestroyDomain() | act.AwaitReady():
                assert Table.DOMAINS not in missing
            case act.StartDomain(name=name):
                assert not missing & {Table.DOMAINS, Table.PATHS, Table.HARDWARE, Table.MONITORS}
                assert not (world.want.domains[name].is_locked and Table.IDENTITIES in missing)
                assert not (world.want.domains[name].disks and Table.XENSTORE in missing)
                assert not (world.want.domains[name].nics and Table.NETWORK in missing)
            case host_act.RetireVolume():
                assert not missing & {Table.DOMAINS, Table.STORAGE}
            case host_act.CreateVolume() | host_act.GrowVolume() | host_act.ActivateVolume() | host_act.UntagVolume():
                assert Table.STORAGE not in missing
            case host_act.ResizeFile():
                assert Table.PATHS not in missing
            case host_act.ChangeBridge():
                assert Table.NETWORK not in missing


@given(worlds())
@SLOW
def test_every_guest_of_the_host_is_asked_at_shutdown(world: World) -> None:
    made = plan(*world, Goal.SHUTDOWN)
    assert isinstance(world.seen.domains, dict)
    asked = {step.action.domid for step in made.steps if isinstance(step.action, act.StopDomain)}
    alive = {each.domid for each in world.seen.domains.values() if not each.is_down and each.state != "dying"}
    given_up = {record.hand_domid for record in world.kept.records.values() if record.hand is Hand.DESTROY}
    ends = [step.action for step in made.steps if isinstance(step.action, act.DestroyDomain)]
    cut_off = {action.domid for action in ends if action.verb == "destroy"}
    assert cut_off <= alive & given_up
    assert asked == alive - cut_off

"""The scripts of `libexec` themselves, on image files, with the tools of this machine; what they mount is tried on a
real Xen."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "libexec"
MIB = 1 << 20


@dataclass
class Place:
    """A disk of 4 MiB with its mark, and a raw image of 3 MiB that is not the same anywhere."""

    path: Path

    def __post_init__(self) -> None:
        self.disk.write_bytes(bytes(4 * MIB))
        self.mark.touch()
        self.image.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(3 * MIB // 4)))

    @property
    def disk(self) -> Path:
        return self.path / "web.img"

    @property
    def mark(self) -> Path:
        return self.path / "web.img.xenlocal-install"

    @property
    def resize_mark(self) -> Path:
        return self.path / "web.img.xenlocal-resize"

    @property
    def image(self) -> Path:
        return self.path / "debian.img"

    def install(self, **settings: str) -> tuple[int, str]:
        return self.run("install", IMAGE=str(self.image), **settings)

    def begin(self, script: str, *limits: str, **settings: str) -> subprocess.Popen[bytes]:
        own = {"CACHE": str(self.path / "cache"), "LOGS": str(self.path), "DISK": str(self.disk), "NAME": "web"}
        environment = {f"XENLOCAL_{key}": value for key, value in {**own, **settings}.items()}
        argv = [*limits, str(SCRIPTS / script), "web", str(self.disk)]
        return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def ended(self, process: subprocess.Popen[bytes], script: str = "install") -> tuple[int, str]:
        """Its exit status, and the last line of its log."""
        assert process.communicate(timeout=60)[0] == b"", "all it says is in its log"
        return process.returncode, (self.path / f"{script}-web.log").read_text().splitlines()[-1]

    def run(self, script: str, *limits: str, **settings: str) -> tuple[int, str]:
        return self.ended(self.begin(script, *limits, **settings), script)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_raw_image(place: Place) -> None:
    status, said = place.install()
    assert status == 0 and said.endswith("is installed")
    assert place.disk.read_bytes() == place.image.read_bytes() + bytes(MIB) and not place.mark.exists()


BEGUN = b"an unfinished installation by xenlocal"


@pytest.mark.parametrize("done", [0, 512, 2 * MIB, 3 * MIB])
def test_one_that_was_ended_in_the_middle_begins_anew(place: Place, done: int) -> None:
    """Its first sector comes last: until then it does not matter what the rest looks like, such as a file system."""
    place.image.write_bytes(bytes(3 * MIB))
    file_system(place.image, "data")
    image = place.image.read_bytes()
    place.disk.write_bytes(BEGUN + bytes(512 - len(BEGUN)) + image[512:done] + bytes(4 * MIB - max(done, 512)))
    assert place.install()[0] == 0 and not place.mark.exists()
    assert place.disk.read_bytes() == image + bytes(MIB)


def test_a_copy_that_fails_in_the_middle_can_begin_anew(place: Place) -> None:
    """The disk has less room than it shows, as a thin volume whose pool is full."""
    limits = ("/usr/bin/prlimit", f"--fsize={2 * MIB}")
    assert place.run("install", *limits, IMAGE=str(place.image))[0] != 0
    assert place.mark.exists() and place.disk.read_bytes().startswith(BEGUN)
    assert place.install()[0] == 0 and place.disk.read_bytes() == place.image.read_bytes() + bytes(MIB)


def test_one_that_was_ended_before_the_mark_had_gone_is_complete(place: Place) -> None:
    whole = place.image.read_bytes() + b"guest" * (MIB // 5) + b"."
    place.disk.write_bytes(whole)
    assert place.install()[0] == 0
    assert place.disk.read_bytes() == whole and not place.mark.exists()
    file_system(place.disk, "xenlocal-root")
    place.mark.touch()
    whole = place.disk.read_bytes()
    assert place.run("install", IMAGE=str(place.path / "a.tar"))[0] == 0
    assert place.disk.read_bytes() == whole and not place.mark.exists()


def file_system(path: Path, label: str = "") -> None:
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-L", label, str(path)], check=True, timeout=60)


def test_what_somebody_else_has_made_is_never_written_over(place: Place) -> None:
    file_system(place.disk, "data")
    before = place.disk.read_bytes()
    status, said = place.install()
    assert status == 1 and place.disk.read_bytes() == before and place.mark.exists()
    assert f"{place.disk} is not empty: LABEL=data" in said
    assert said.endswith(f"to use it as it is type: rm {place.mark}")


def test_what_nobody_knows_is_not_taken_for_empty(place: Place) -> None:
    """Such as an encrypted disk without a header, which looks like noise."""
    before = b"noise" + bytes(4 * MIB - 5)
    place.disk.write_bytes(before)
    status, said = place.install()
    assert status == 1 and "is not empty: data of an unknown kind" in said and place.disk.read_bytes() == before


def test_what_was_left_unfinished_is_ours(place: Place) -> None:
    file_system(place.disk, "xenlocal-new")
    assert place.install()[0] == 0
    assert place.disk.read_bytes()[: 3 * MIB] == place.image.read_bytes()


def test_without_the_mark_nothing_is_done(place: Place) -> None:
    place.mark.unlink()
    status, said = place.install()
    assert status == 0 and "does not carry the mark" in said
    assert place.disk.read_bytes() == bytes(4 * MIB)


def test_what_cannot_be_read_does_not_count_as_empty(place: Place) -> None:
    place.disk.unlink()
    assert place.install() == (1, f"cannot install web: {place.disk} cannot be read") and not place.disk.exists()


def test_an_image_that_is_too_large(place: Place) -> None:
    place.image.write_bytes(bytes(5 * MIB))
    assert place.install() == (1, f"cannot install web: {place.image} is larger than {place.disk}; write a larger size")
    assert place.disk.read_bytes() == bytes(4 * MIB) and place.mark.exists()


def test_an_image_that_begins_with_nothing_is_not_taken_for_complete(place: Place) -> None:
    whole = bytes(MIB) + b"data" * (MIB // 4)
    place.image.write_bytes(whole)
    assert place.install()[0] == 0
    assert place.disk.read_bytes() == whole + bytes(2 * MIB)


def test_a_hook_that_others_can_write_is_not_run(place: Place) -> None:
    hooks = place.path / "hooks"
    hooks.mkdir()
    (hooks / "10-x").write_text("#!/bin/sh\n")
    (hooks / "10-x").chmod(0o777)
    status, said = place.install(HOOKS=str(hooks))
    assert status == 1 and f"others than root can change {hooks}/10-x" in said and "-rwxrwxrwx root root 10-x;" in said
    # nor one that a link leads to, by way of a link that others can swap
    (place.path / "open").mkdir()
    (place.path / "open").chmod(0o777)
    (place.path / "open/next").symlink_to("/bin/true")
    (hooks / "10-x").unlink()
    (hooks / "10-x").symlink_to("../open/next")
    status, said = place.install(HOOKS=str(hooks))
    assert status == 1 and "drwxrwxrwx root root open;" in said
    assert place.disk.read_bytes() == bytes(4 * MIB) and place.mark.exists()


@pytest.mark.parametrize(
    ("content", "mode", "wrong"),
    [
        ("$6$salt$hash\n", 0o640, "others than its owner can read {0}; type: chmod 600 {0}"),
        ("secret\n", 0o600, "{0} holds no hash of a password, as `openssl passwd -6` prints it"),
    ],
)
def test_a_password_is_a_secret_and_a_hash(place: Place, content: str, mode: int, wrong: str) -> None:
    password = place.path / "password"
    password.write_text(content)
    password.chmod(mode)
    assert place.install(ROOT_PASSWORD=str(password)) == (1, f"cannot install web: {wrong.format(password)}")
    assert place.disk.read_bytes() == bytes(4 * MIB) and place.mark.exists()
    password.write_text("$6$salt$hash\n")
    password.chmod(0o600)
    assert place.install(ROOT_PASSWORD=str(password))[0] == 0


def test_an_image_that_is_no_file_is_not_waited_for(place: Place) -> None:
    place.image.write_bytes(b"")
    wrong = (1, f"cannot install web: {place.image} is not a regular file, or empty, or the disk itself")
    assert place.install() == wrong
    place.image.unlink()
    os.mkfifo(place.image)
    assert place.install() == wrong
    place.image.unlink()
    place.image.symlink_to(place.disk)
    assert place.install() == wrong and place.mark.exists()


@contextmanager
def waiting(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """It waits for another one that fetches packages, which are there then."""
    cache = place.path / "cache"
    cache.mkdir()
    key = hashlib.sha256(b"bookworm  systemd-sysv,udev\n").hexdigest()[:16]
    (cache / f"bookworm-{key}.tar").touch()
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = place.begin("install", SUITE="bookworm")
        try:
            deadline = time.monotonic() + 30
            while "flock" not in children_of(process.pid):
                assert time.monotonic() < deadline and process.poll() is None, "it has not come to wait for the lock"
            yield process
        except BaseException:
            process.kill()
            raise


def children_of(pid: int) -> set[str]:
    """What they run. One that has just ended runs nothing."""
    names = set()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            names.add(Path(f"/proc/{child}/comm").read_text().strip())
    return names


def test_what_somebody_fills_while_packages_are_fetched_is_not_written_over(place: Place) -> None:
    with waiting(place) as process:
        file_system(place.disk, "data")
        before = place.disk.read_bytes()
    status, said = place.ended(process)
    assert status == 1 and "is not empty: LABEL=data" in said and place.disk.read_bytes() == before


def test_one_that_is_ended_says_so(place: Place) -> None:
    with waiting(place) as process:
        process.terminate()
    assert place.ended(process) == (1, "cannot install web: it was ended before it was done")
    assert place.disk.read_bytes() == bytes(4 * MIB) and place.mark.exists()


def test_an_lv_of_which_nothing_is_known_is_left_alone(place: Place) -> None:
    status, said = place.install(VOLUME="no-such-group/web")
    assert status == 1 and "could not be found out" in said
    assert place.disk.read_bytes() == bytes(4 * MIB)


@pytest.fixture
def grown(place: Place) -> Place:
    """A file system of 4 MiB on a disk that has become larger."""
    place.mark.rename(place.resize_mark)
    file_system(place.disk, "data")
    with open(place.disk, "ab") as disk:
        disk.truncate(9 * MIB)
    return place


def size_of(disk: Path) -> int:
    """Bytes of the file system on it."""
    shown = subprocess.run(["/usr/sbin/dumpe2fs", "-h", str(disk)], capture_output=True, text=True, check=True).stdout
    facts = dict(line.split(":", 1) for line in shown.splitlines() if ":" in line)
    return int(facts["Block count"]) * int(facts["Block size"])


def test_a_file_system_grows_with_its_disk(grown: Place) -> None:
    assert size_of(grown.disk) == 4 * MIB
    status, said = grown.run("resize")
    assert status == 0 and said.endswith("is done")
    assert size_of(grown.disk) == 9 * MIB and not grown.resize_mark.exists()
    assert grown.run("resize")[1].endswith("does not carry the mark xenlocal-resize")


def test_what_is_no_ext_file_system_is_left_alone(grown: Place) -> None:
    for content in (bytes(9 * MIB), b"XFSB" + bytes(9 * MIB - 4)):
        grown.disk.write_bytes(content)
        grown.resize_mark.touch()
        assert grown.run("resize")[0] == 0
        assert "leaves" in (grown.path / "resize-web.log").read_text()
        assert grown.disk.read_bytes() == content and not grown.resize_mark.exists()


def test_one_that_is_damaged_is_not_grown(grown: Place) -> None:
    """Its superblock is whole, and much of the rest is not: nothing that can be mended without asking."""
    with open(grown.disk, "r+b") as disk:
        disk.seek(4096)
        disk.write(b"\xff" * MIB)
    status, said = grown.run("resize")
    assert status == 1 and f"or, to start it as it is, rm {grown.resize_mark}" in said
    assert grown.resize_mark.exists() and size_of(grown.disk) == 4 * MIB


def test_a_disk_that_cannot_be_read_is_not_taken_for_empty(grown: Place) -> None:
    grown.disk.unlink()
    assert grown.run("resize") == (1, f"cannot resize web: {grown.disk} cannot be read")
    assert grown.resize_mark.exists()


RELEASE = "6.1.0-49-amd64"


@dataclass
class Guest:
    """A disk of 24 MiB with a root file system, marked for modules; and those of the dom0."""

    place: Place

    def __post_init__(self) -> None:
        self.mark.touch()
        of_dom0 = self.place.path / "modules" / RELEASE
        (of_dom0 / "kernel").mkdir(parents=True)
        of_dom0.chmod(0o755)  # as a package leaves it, whatever the umask of the tests
        (of_dom0 / "kernel/xen.ko").write_bytes(b"new" * MIB)
        (of_dom0 / "modules.dep").write_text("kernel/xen.ko:\n")
        (of_dom0 / "build").symlink_to("/usr/src/linux-headers")
        with open(self.place.disk, "wb") as disk:
            disk.truncate(24 * MIB)
        file_system(self.place.disk)

    @property
    def mark(self) -> Path:
        return self.place.path / "web.img.xenlocal-modules"

    def inside(self, script: str) -> str:
        """What a shell prints in the root of the guest's file system."""
        root = self.place.path / "root"
        root.mkdir(exist_ok=True)
        mounted = f"mount -o loop {self.place.disk} {root}; cd {root}; {script}\ncd /; umount {root}"
        argv = ["unshare", "--mount", "sh", "-euc", mounted]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    def run(self, *limits: str) -> tuple[int, str]:
        places = {"RELEASE": RELEASE, "MODULES": str(self.place.path / "modules")}
        status, said = self.place.run("modules", "/usr/bin/unshare", "--mount", *limits, **places)
        used = ["losetup", "--noheadings", "--associated", str(self.place.disk)]
        assert subprocess.run(used, check=True, capture_output=True, timeout=60).stdout == b"", "it is unmounted"
        return status, said


@pytest.fixture
def guest(place: Place) -> Guest:
    place.mark.unlink()
    tried = Guest(place)
    try:
        tried.inside("")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"nothing can be mounted here: {error.stderr}")
    tried.inside("mkdir -p usr/lib; ln -s usr/lib lib")
    return tried


SHOW = f"find usr/lib/modules | sort; cat usr/lib/modules/{RELEASE}/kernel/xen.ko | head -c 6"
OF_RELEASE = ("", "/kernel", "/kernel/xen.ko", "/modules.dep")
GIVEN = "usr/lib/modules\n" + "".join(f"usr/lib/modules/{RELEASE}{each}\n" for each in OF_RELEASE)


@pytest.mark.parametrize("lib", ["usr/lib", "/usr/lib"])
def test_a_guest_gets_the_modules_of_the_dom0(guest: Guest, lib: str) -> None:
    guest.inside(f"rm lib; ln -s {lib} lib")
    status, said = guest.run()
    assert status == 0 and said.endswith("is done") and not guest.mark.exists()
    assert guest.inside(SHOW) == f"{GIVEN}newnew"
    assert guest.inside(f"stat -c '%U %a' usr/lib/modules usr/lib/modules/{RELEASE}") == "root 755\nroot 755\n"
    assert guest.run()[1].endswith("does not carry the mark xenlocal-modules")


def test_a_lib_that_is_no_link(guest: Guest) -> None:
    guest.inside("rm lib; mkdir -p lib/modules/6.0/kernel")
    assert guest.run()[0] == 0
    assert guest.inside("ls lib/modules; ls usr/lib") == f"6.0\n{RELEASE}\n"


def test_those_it_has_are_replaced_and_what_was_left_by_one_that_was_killed_is_tidied(guest: Guest) -> None:
    guest.inside(
        f"cd usr/lib; mkdir -p modules/{RELEASE} modules/.xenlocal-new/x modules/.xenlocal-old-6.0/kernel modules/5.0"
        f" modules/.xenlocal-old-5.0; echo old > modules/{RELEASE}/gone"
    )
    assert guest.run()[0] == 0
    others = "usr/lib/modules/5.0\nusr/lib/modules/6.0\nusr/lib/modules/6.0/kernel\n"
    assert guest.inside(SHOW) == GIVEN.replace("usr/lib/modules\n", f"usr/lib/modules\n{others}") + "newnew"


def test_one_that_was_killed_between_two_names_begins_anew(guest: Guest) -> None:
    guest.inside(f"mkdir -p usr/lib/modules/.xenlocal-old-{RELEASE}/kernel usr/lib/modules/.xenlocal-new")
    assert guest.run()[0] == 0 and guest.inside(SHOW) == f"{GIVEN}newnew"


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        ("rm lib; ln -s ../../../../{0} lib", "lib in {1} is a link: 'lib' -> '../../../../{0}'"),
        ("rm lib; ln -s usr/../../lib lib", "lib in {1} is a link: "),
        ("rm lib; ln -s \"$(printf 'a\\nb\\033[2J')\" lib", "lib in {1} is a link: 'lib' -> 'a'$'\\n''b'$'\\033''[2J'"),
        ("rmdir usr/lib; ln -s {0} usr/lib", "usr/lib in {1} is a link, and none is followed"),
        ("rm -r usr; ln -s {0} usr; mkdir -p x", "usr in {1} is a link, and none is followed"),
        ("ln -s {0} usr/lib/modules", "usr/lib/modules in {1} is a link, and none is followed"),
        ("mkdir usr/lib/modules; ln -s {0} usr/lib/modules/" + RELEASE, "is a link, and none is followed"),
        ("mkdir usr/lib/modules; ln -s {0} usr/lib/modules/.xenlocal-new", "is a link, and none is followed"),
        ("touch usr/lib/modules", "usr/lib/modules in {1} is no directory"),
        ("rmdir usr/lib usr", "{1} holds no root file system: there is no usr/lib in it"),
    ],
)
def test_nothing_is_written_where_a_guest_leads_it(guest: Guest, made: str, wrong: str) -> None:
    outside = guest.place.path / "outside"
    outside.mkdir()
    guest.inside(made.format(outside))
    status, said = guest.run()
    assert status == 1 and wrong.format(outside, guest.place.disk) in said
    assert not list(outside.iterdir()) and guest.mark.exists()


def test_a_left_over_that_is_a_link_is_renamed_or_removed_and_never_followed(guest: Guest) -> None:
    outside = guest.place.path / "outside"
    (outside / "kernel").mkdir(parents=True)
    links = "".join(f"ln -s {outside} .xenlocal-old-{each}; " for each in ("5.0", "6.0"))
    guest.inside(f"mkdir -p usr/lib/modules/5.0; cd usr/lib/modules; {links}")
    assert guest.run()[0] == 0 and (outside / "kernel").exists()
    assert guest.inside("ls -A usr/lib/modules") == f"5.0\n{RELEASE}\n"


def test_a_left_over_whose_name_is_an_option_is_a_name(guest: Guest) -> None:
    """A guest can put anything there; all that it may spoil is its own."""
    names = ("-rf", "--help", "-t.", "!", "(", "=", "a\\nb", ".")
    made = "".join(f"mkdir \"$(printf '.xenlocal-old-%b' '{each}')\"; " for each in names)
    guest.inside(f"mkdir usr/lib/modules; cd usr/lib/modules; {made}")
    assert guest.run()[0] == 0
    left = guest.inside("cd usr/lib/modules; ls -A --quoting-style=escape").splitlines()
    assert sorted(left) == sorted(["-rf", "--help", "-t.", "!", "(", "=", "a\\nb", RELEASE])


def test_it_is_unmounted_before_its_mark_goes(guest: Guest) -> None:
    """Its mounts vanish with it, but that may take longer than the start which waits for the mark to go."""
    tools, seen = guest.place.path / "tools", guest.place.path / "seen"
    tools.mkdir()
    shutil.copy("/usr/bin/rm", tools / "real")
    look = f'case "$*" in {guest.mark}) findmnt --noheadings {guest.place.path}/cache/modules > {seen} || :;; esac'
    (tools / "rm").write_text(f'#!/bin/sh\n{look}\nexec {tools}/real "$@"\n')
    (tools / "rm").chmod(0o755)
    assert guest.run("sh", "-ec", f'mount --bind {tools}/rm /usr/bin/rm; exec "$@"', "sh")[0] == 0
    assert seen.read_text() == ""


@pytest.mark.parametrize("script", ["modules", "resize"])
def test_what_a_guest_makes_e2fsck_say_does_not_fill_the_disk_of_the_dom0(guest: Guest, script: str) -> None:
    """It names every inode that it mends, of which a guest can have as many as it likes."""
    tools, place = guest.place.path / "tools", guest.place
    tools.mkdir()
    shutil.copy(os.path.realpath("/usr/sbin/e2fsck"), tools / "real")
    (tools / "e2fsck").write_text(
        f'#!/bin/sh\nyes "Inode 12, i_blocks is 5, should be 8.  FIXED." | head -n 9999\nexec {tools}/real "$@"\n'
    )
    (tools / "e2fsck").chmod(0o755)
    place.resize_mark.touch()
    shim = f'mount --bind {tools}/e2fsck {os.path.realpath("/usr/sbin/e2fsck")}; exec "$@"'
    places = {"RELEASE": RELEASE, "MODULES": str(place.path / "modules")}
    status, said = place.run(script, "/usr/bin/unshare", "--mount", "sh", "-ec", shim, "sh", **places)
    log = (place.path / f"{script}-web.log").read_text()
    assert status == 0 and said.endswith("is done") and "i_blocks is 5" in log and len(log) < 80_000


def test_what_cannot_be_removed_is_said_in_one_line(guest: Guest) -> None:
    left = "usr/lib/modules/.xenlocal-new"
    guest.inside(
        f"mkdir -p {left}/{{a,b}}; for each in a b c d; do mkdir -p {left}/$each; chattr +i {left}/$each; done"
    )
    status, said = guest.run()
    assert (status, said) == (
        1,
        f"cannot give modules to web: usr/lib/modules in {guest.place.disk}: cannot remove '.xenlocal-new'",
    )
    assert (guest.place.path / "modules-web.log").read_text().count("cannot remove") == 1 and guest.mark.exists()


def test_what_is_lost_on_its_way_to_the_disk_is_no_success(guest: Guest) -> None:
    """As where a thin pool is full: all files are in the cache of dom0, and the disk has no room for them."""
    small, disk = guest.place.path / "small", guest.place.disk
    small.mkdir()
    has_no_room = f"""
        mount -t tmpfs -o size=$(($(du -k {disk} | cut -f 1) + 1024))k small {small}
        cp --sparse=always {disk} {small}/disk
        mount --bind {small}/disk {disk}
        exec "$@"
    """
    status, said = guest.run("sh", "-ec", has_no_room, "sh")
    assert status != 0 and guest.mark.exists(), said
    assert "sync: error syncing" in (guest.place.path / "modules-web.log").read_text()


def test_room_is_looked_for_before_anything_is_written(guest: Guest) -> None:
    guest.inside("fallocate -l 14M usr/filler")
    status, said = guest.run()
    assert status == 1 and f"the modules of {RELEASE} need " in said and " kB free" in said
    assert guest.inside("find usr -mindepth 2") == "usr/lib/modules\n" and guest.mark.exists()


def test_a_copy_that_fails_takes_no_room_of_the_guest(guest: Guest) -> None:
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-N", "16", str(guest.place.disk)], check=True, timeout=60)
    guest.inside("mkdir lib")
    for number in range(1000):
        (guest.place.path / "modules" / RELEASE / f"{number}.ko").touch()
    status, said = guest.run()
    assert status == 1 and "No space left on device" in said, "it has run out of inodes"
    assert guest.inside("ls -A lib/modules") == "" and guest.mark.exists()


def test_a_file_system_that_says_panic_does_not_stop_the_dom0(guest: Guest) -> None:
    subprocess.run(["/usr/sbin/tune2fs", "-e", "panic", str(guest.place.disk)], check=True, capture_output=True)
    assert guest.run()[0] == 0
    script = (SCRIPTS / "modules").read_text()
    assert "nosuid,nodev,noexec,errors=remount-ro" in script


def test_modules_are_only_put_into_a_file_system_that_is_known(guest: Guest) -> None:
    guest.place.disk.write_bytes(bytes(9 * MIB))
    for what in ("no file system", "swap"):
        if what == "swap":
            subprocess.run(["/usr/sbin/mkswap", "-q", str(guest.place.disk)], check=True, timeout=60)
        content = guest.place.disk.read_bytes()
        status, said = guest.run()
        assert status == 1 and f"holds {what}, and modules are only put into ext2, ext3 and ext4" in said
        assert guest.place.disk.read_bytes() == content and guest.mark.exists()


def test_a_damaged_one_is_not_mounted(guest: Guest) -> None:
    with open(guest.place.disk, "r+b") as disk:
        disk.seek(4096)
        disk.write(b"\xff" * MIB)
    status, said = guest.run()
    assert status == 1 and said.endswith(f"has errors; type: e2fsck -f {guest.place.disk}") and guest.mark.exists()


def test_modules_that_the_dom0_does_not_have(guest: Guest) -> None:
    (guest.place.path / "modules" / RELEASE / "modules.dep").unlink()
    before = guest.place.disk.read_bytes()
    status, said = guest.run()
    assert status == 1 and said.endswith(f"type: apt install linux-image-{RELEASE}")
    assert guest.place.disk.read_bytes() == before and guest.mark.exists()


def with_tool(guest: Guest, name: str, script: str) -> tuple[str, ...]:
    """What lets a script of ours find this shell script under the name of a tool, whose real one is `$real`."""
    tools = guest.place.path / "tools"
    tools.mkdir(exist_ok=True)
    where = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert where is not None
    shutil.copy(where, tools / f"{name}.real")
    (tools / name).write_text(f'#!/bin/sh\nreal={tools}/{name}.real\n{script}\nexec "$real" "$@"\n')
    (tools / name).chmod(0o755)
    return ("sh", "-ec", f'mount --bind {tools}/{name} {where}; exec "$@"', "sh")


def test_a_guest_keeps_the_modules_it_had_where_the_new_ones_cannot_take_their_place(guest: Guest) -> None:
    """A kernel before the trial may be of the same release."""
    guest.inside(f"mkdir -p usr/lib/modules/{RELEASE}; echo old > usr/lib/modules/{RELEASE}/kept")
    fails = 'case "$*" in *.xenlocal-new*) echo "mv: No space left on device" >&2; exit 1;; esac'
    status, said = guest.run(*with_tool(guest, "mv", fails))
    assert (status, said) == (1, "mv: No space left on device") and guest.mark.exists()
    assert guest.inside("find usr/lib/modules -mindepth 1 | sort") == (
        f"usr/lib/modules/{RELEASE}\nusr/lib/modules/{RELEASE}/kept\n"
    )


def test_one_that_fails_has_nothing_mounted_when_it_ends(guest: Guest) -> None:
    """Its guest may be started at once, from the kernel before."""
    guest.inside("ln -s /tmp usr/lib/modules")
    left = guest.place.path / "left"
    look = f"findmnt --noheadings {guest.place.path}/cache/modules > {left} || :"
    look = f'status=0; "$@" || status=$?; {look}; exit $status'
    status, said = guest.run("sh", "-c", look, "sh")
    assert status == 1 and said.endswith("is a link, and none is followed") and left.read_text() == ""


def test_one_that_fails_at_its_very_end_removes_nothing_of_the_dom0(guest: Guest) -> None:
    """It has left the guest's directory by then, and its names are no paths from /."""
    removed = guest.place.path / "removed"
    sync = with_tool(guest, "sync", 'case "$*" in */cache/modules) echo "sync: it is lost" >&2; exit 1;; esac')
    rm = with_tool(guest, "rm", f'[ "$PWD" != / ] || echo "$*" >> {removed}')
    assert guest.run(*sync, *rm) == (1, "sync: it is lost") and guest.mark.exists()
    assert not removed.exists()


def test_a_check_that_was_ended_has_found_no_errors(guest: Guest) -> None:
    guest.mark.rename(guest.place.resize_mark)
    ended = with_tool(guest, "e2fsck", 'echo "e2fsck canceled."; exit 32')
    status, said = guest.place.run("resize", "/usr/bin/unshare", "--mount", *ended)
    assert (status, said) == (1, "cannot resize web: it was ended before it was done")
    assert guest.place.resize_mark.exists()

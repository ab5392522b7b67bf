"""A machine that is installed by hand: an hvm guest with an empty disk boots from an image in its drive, which it only
reads, and from its disk as soon as that boots."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
from bootable import iso, sector
from lab import reload, row, serial, wait_all_ready, wait_notice, write

from rig.guest import domids
from rig.machine import Machine

IMAGE = "/srv/installer.iso"
DRIVE = f"[[disk hdc]]\ncdrom = {IMAGE}\n"
DISK = "[[disk xvda]]\nvolume = vg0/win\nsize = 32M\n"
HEAD = "[domain win]\ntype = hvm\nmemory = 64M\nstop_timeout = 5s\n"
READY = "[[ready]]\ncommand = /bin/true\n"
DRIVE_FIRST = "[[xl]]\nboot = dc\n"


def says(m: Machine, words: str) -> None:
    """Wait until what it has booted says so, on its serial port."""
    m.run(f"timeout 120 grep -am1 '{words}' {serial(m, 'win')}", 140)


@pytest.mark.long
@pytest.mark.limit(1200)
def test_an_empty_disk_and_an_image_in_the_drive(installed: Machine) -> None:
    m = installed
    m.make_vg()
    write(m, win=HEAD + DISK + DRIVE + READY)

    # the image is not there yet: said before the start, and waited for
    assert reload(m).rc == 0
    assert "does not exist; put the image there" in wait_notice(m, "win", IMAGE)
    m.put(IMAGE, iso("this is the cd"))
    checked = m.run("xenlocal check", 120, check=False)
    assert checked.rc == 0, checked

    wait_all_ready(m, "win")
    says(m, "this is the cd")
    line = row(m, "win")
    assert (line["observed"], line["ready"], line["pending"]) == ("running", True, [])

    # read only, for Xen and for the device model, which has opened the file so
    domid = domids(m)["win"]
    assert m.out(f"xenstore-ls -f /local/domain/0/backend | grep '/{domid}/5632/mode'").endswith('= "r"')
    model = m.out(f"xenstore-read /local/domain/{domid}/image/device-model-pid")
    found = f"find /proc/{model}/fd -lname {IMAGE} -printf '%f\\n'"
    flags = m.out(f"for fd in $({found}); do sed -n 's/^flags:[[:space:]]*//p' /proc/{model}/fdinfo/$fd; done").split()
    assert flags and all(int(each, 8) & os.O_ACCMODE == os.O_RDONLY for each in flags)

    # an installation has written to the disk: it comes before the drive
    m.run("xenlocal stop win", 200)
    m.put("/root/sector", sector("this is the disk"))
    m.run("dd if=/root/sector of=/dev/vg0/win conv=notrunc,fsync status=none")
    m.run("xenlocal start win", 200)
    says(m, "this is the disk")

    # ... but where the files say otherwise, from its next start on
    write(m, win=HEAD + DISK + DRIVE + READY + DRIVE_FIRST)
    assert reload(m).rc == 0
    assert row(m, "win")["pending"] == ["boot"]
    m.run("xenlocal restart win", 300)
    says(m, "this is the cd")
    assert row(m, "win")["pending"] == []
    assert m.out(f"sha256sum {IMAGE}").split()[0] == sha256(iso("this is the cd")).hexdigest()

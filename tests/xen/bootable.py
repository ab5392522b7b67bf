"""What a machine without an operating system can boot: one sector that says on the serial port where it came from, at
the start of a disk, or in an image for a drive."""

from __future__ import annotations

import struct

_SECTOR = 2048  # of a CD
_CODE = bytes.fromhex(
    "fa 31c0 8ed8 8ed0 bc007c fb"  # no interrupts; ds = ss = 0, sp = 0x7c00; interrupts
    "be3d7c"  # again: si = the text, behind this code where a BIOS has loaded it
    "ac 84c0 7412"  # next: al = [si++]; if 0 go to wait
    "88c4 bafd03 ec a820 74fb"  # keep it; until the line status of COM1 says that it can send
    "baf803 88e0 ee ebe9"  # send it; go to next
    "b91200"  # wait: 18 ticks of the clock, a second
    "f4 ba00b0 ed f6c401 7407"  # tick: if the power button was not pressed (PM1a_STS, where Xen has it) go on
    "ba04b0 b80020 ef"  # off (PM1a_CNT: sleep state S5, which Xen's DSDT calls 0)
    "e2ed ebce"  # on: go to tick; go to again
)
_BUTTON = _CODE.index(bytes.fromhex("f6c401")) + 2


def sector(words: str, looks: bool = True) -> bytes:
    """512 bytes that a BIOS boots: they send `words` once a second, until the power button is pressed, if they look."""
    code = bytearray(_CODE)
    code[_BUTTON] = looks
    return bytes(code + words.encode() + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"


def iso(words: str) -> bytes:
    """The same for a drive: as much of an ISO image as a BIOS looks at, without a file in it (El Torito 1.0, section 2:
    a boot record in sector 17 tells where the catalog is, and that what to load, here with no disk emulated)."""
    catalog, loaded = 19, 20
    record = b"\0CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", catalog)
    head = b"\x01" + bytes(29) + b"\x55\xaa"
    checksum = -sum(struct.unpack("<16H", head)) & 0xFFFF
    entry = b"\x88" + bytes(5) + struct.pack("<HI", 1, loaded)  # bootable, 512 bytes to the usual place
    pieces = [b"\x01CD001\x01", record, b"\xffCD001\x01", head[:28] + struct.pack("<H", checksum) + head[30:] + entry]
    return bytes(16 * _SECTOR) + b"".join(piece.ljust(_SECTOR, b"\0") for piece in (*pieces, sector(words)))

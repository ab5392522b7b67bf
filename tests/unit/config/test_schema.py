"""The table of the language against the model: a default is written down twice, and both say the same."""

import dataclasses

import pytest

from tests.unit.config.support import desired, domain
from xenlocal.config import KEYS, PARTS, REQUIRED, SECTIONS, Key
from xenlocal.model.desired import Bridge, Domain, Host
from xenlocal.model.units import Size

MODELS = {"host": Host, "bridge": Bridge, "domain": Domain}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}-{key.name}")
def test_defaults_are_those_of_the_model(key: Key) -> None:
    model = MODELS.get(key.section)
    if model is None or not key.supported or key.name == "uuid":
        return
    [field] = [field for field in dataclasses.fields(model) if field.name == key.name]
    if key.default == REQUIRED:
        assert field.default is dataclasses.MISSING
    elif key.default:
        assert key.parse(key.name, key.default) == field.default
    else:
        assert field.default in (None, "", ())


HVM = "[domain a]\ntype = hvm\nmemory = 1G\n"
DISK = "[[disk xvda]]\n{}\n"
SECTIONS_THAT_HOLD_IT = {
    "host": "[host]\n",
    "bridge": "[bridge br0]\n",
    "iscsi": "[iscsi bay1]\nportal = 192.0.2.10\ntarget = iqn.2012-10.example:bay1\n",
    "domain": domain("a"),
    "disk": domain("a") + DISK.format("volume = vg0/a"),
    "nic": "[bridge br0]\n" + domain("a") + "[[nic eth0]]\nbridge = br0\n",
    "ready": domain("a") + "[[ready]]\nping = h\n",
    "install": "[bridge br0]\n"
    + domain("a")
    + DISK.format("volume = vg0/a\nsize = 4G")
    + "[[nic eth0]]\nbridge = br0\n[[install]]\nsuite = bookworm\n",
}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}-{key.name}")
def test_to_write_a_default_changes_nothing(key: Key) -> None:
    """What is commented out in the files that are shipped can be uncommented."""
    before = {"firmware": HVM, "allocate": domain("a") + DISK.format("file = /srv/a.img")}.get(
        key.name, SECTIONS_THAT_HOLD_IT[key.section]
    )
    silent = desired(before)
    if key.default not in ("", REQUIRED):
        assert desired(f"{before}{key.name} = {key.default}\n") == silent


@pytest.mark.parametrize("text", ["0M", "1M", "257M"])
def test_any_whole_number_of_mib_is_kept_for_xen(text: str) -> None:
    assert desired(f"[host]\ndom0_reserve = {text}\n").host.dom0_reserve == Size.parse(text)


def test_every_key_is_there_once_and_explained() -> None:
    names = [(key.section, key.name) for key in KEYS]
    assert len(set(names)) == len(names)
    assert {section for section, _ in names} == {*SECTIONS, *PARTS} - {"defaults", "xl"}
    assert all(key.help and not key.help.endswith(".") for key in KEYS)


def test_every_setting_of_the_model_can_be_written() -> None:
    made = {"name", "source", "disks", "nics", "unplugged", "probe", "install", "extra", "unsupported"}
    made |= {"after_things", "needs_things"}
    for section, model in MODELS.items():
        fields = {field.name for field in dataclasses.fields(model)} - made
        assert fields <= {key.name for key in KEYS if key.section == section}

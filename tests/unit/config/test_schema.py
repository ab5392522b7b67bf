"""The table of the language against the model: a default is written down twice, and both say the same."""

import dataclasses

import pytest

from xenlocal.config import KEYS, PARTS, REQUIRED, SECTIONS, Key
from xenlocal.model.desired import Bridge, Domain, Host

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


def test_every_key_is_there_once_and_explained() -> None:
    names = [(key.section, key.name) for key in KEYS]
    assert len(set(names)) == len(names)
    assert {section for section, _ in names} == {*SECTIONS, *PARTS} - {"defaults", "xl"}
    assert all(key.help and not key.help.endswith(".") for key in KEYS)


def test_every_setting_of_the_model_can_be_written() -> None:
    made = {"name", "source", "disks", "nics", "unplugged", "probe", "extra", "unsupported"}
    made |= {"after_things", "needs_things"}
    for section, model in MODELS.items():
        fields = {field.name for field in dataclasses.fields(model)} - made
        assert fields <= {key.name for key in KEYS if key.section == section}

"""Whose a bridge is: only one that is ours, and not declared external, is changed."""

from __future__ import annotations

import pytest

from tests.unit.planner.build import br, bridge_link, desired, ids, network, observed, plan, refused
from xenlocal.model.observed import OUR_ALIAS

HAND_OVER = (
    "; it is not ours: write external = yes to only check it, or hand it over with:"
    f" ip link set dev br0 alias {OUR_ALIAS}"
)


@pytest.mark.parametrize(
    ("external", "alias", "hint"),
    [
        (False, OUR_ALIAS, None),
        (True, OUR_ALIAS, ""),
        (False, "", HAND_OVER),
        (False, "eni", HAND_OVER),
        (True, "", ""),
    ],
)
def test_one_that_differs_is_changed_only_where_it_is_ours(external: bool, alias: str, hint: str | None) -> None:
    """One of ours that is declared external since has been given away."""
    want = desired(br("br0", external=external, mtu=9000))
    made = plan(want, observed(network=network(bridge_link("br0", alias=alias))))
    if hint is None:
        assert ids(made) == ("change bridge/br0",) and not made.refusals
    else:
        assert not made.steps and refused(made, "bridge/br0") == f"differs from a.conf:1: mtu is not 9000{hint}"

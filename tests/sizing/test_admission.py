"""Which servers the constraints leave, and what is said of the others."""

import pytest

from service.catalog.catalog import Catalog
from service.sizing.admission import admissible
from service.sizing.rank import shortfall
from service.sizing.result import Limit, Rejection
from service.sizing.table import table_of
from service.sizing.workload import Constraints


def refused(catalog: Catalog, **constraints: tuple[str, ...]) -> dict[str, Rejection]:
    rows, rejected = admissible(table_of(catalog.hardware), Constraints(**constraints))
    assert not rows.size
    return {rejection.server: rejection for rejection in rejected}


def test_a_family_without_the_gpu_says_so_and_what_it_carries(catalog: Catalog) -> None:
    told = refused(catalog, allowed_gpus=("b300-sxm",), allowed_servers=("poweredge-xe7740",))
    why = "does not carry b300-sxm; poweredge-xe7740 carries rtx-pro-4500-se or rtx-pro-6000-se"
    mine = {server: rejection for server, rejection in told.items() if server.startswith("poweredge-xe7740")}
    assert set(mine) == {"poweredge-xe7740-rtx-pro-4500-se", "poweredge-xe7740-rtx-pro-6000-se"}
    assert {(rejection.limit, rejection.detail) for rejection in mine.values()} == {(Limit.GPU_NOT_CARRIED, why)}
    missed = shortfall(tuple(told.values()), {})
    assert missed is not None
    assert missed.limit is Limit.GPU_NOT_CARRIED
    assert why in missed.relaxation


def test_one_configuration_without_the_gpu_says_what_it_carries(catalog: Catalog) -> None:
    server = "poweredge-xe7740-rtx-pro-4500-se"
    told = refused(catalog, allowed_gpus=("b300-sxm", "gb300"), allowed_servers=(server,))
    assert told[server].detail == "does not carry b300-sxm or gb300; it carries rtx-pro-4500-se"


def test_a_family_of_reference_systems_says_it_too(catalog: Catalog) -> None:
    told = refused(catalog, allowed_gpus=("b300-sxm",), allowed_servers=("poweredge-xe9680",))
    assert told["poweredge-xe9680-h100"].limit is Limit.GPU_NOT_CARRIED


@pytest.mark.parametrize("constraints", [{"allowed_servers": ("poweredge-xe9680",)}, {"allowed_gpus": ("h100-sxm",)}])
def test_a_reference_system_that_is_asked_for_is_said_to_be_one(
    catalog: Catalog, constraints: dict[str, tuple[str, ...]]
) -> None:
    assert refused(catalog, **constraints)["poweredge-xe9680-h100"].limit is Limit.REFERENCE


def test_of_a_family_that_carries_the_gpu_the_other_configurations_are_not_allowed(catalog: Catalog) -> None:
    constraints = Constraints(allowed_gpus=("rtx-pro-6000-se",), allowed_servers=("poweredge-xe7740",))
    table = table_of(catalog.hardware)
    rows, rejected = admissible(table, constraints)
    assert [table.servers[row].id for row in rows] == ["poweredge-xe7740-rtx-pro-6000-se"]
    mine = {r.server: r.limit for r in rejected if r.server.startswith("poweredge-xe7740")}
    assert mine == {"poweredge-xe7740-rtx-pro-4500-se": Limit.NOT_ALLOWED}

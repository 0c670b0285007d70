"""Everything around an option's GPUs, for every kind: networks, storage, facility, and how each count follows."""

from dataclasses import dataclass, replace

from service.sizing.beside import Beside
from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec, Hardware, ServerSpec
from service.sizing.infrastructure_working import facility_steps, network_steps, storage_steps
from service.sizing.result import FacilityPlan, NetworkPlan, StoragePlan, WorkingStep
from service.sizing.site import Draw, draw_of, site_of
from service.sizing.standing import Standing, facility_of, standing_of
from service.sizing.storage_blocks import with_blocks
from service.sizing.workload import Constraints

_FACILITY = "config/hardware/facility.yaml"
_SERVERS = "config/hardware/servers.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """What stands around the servers of one option."""

    standing: Standing
    draw: Draw
    storage: StoragePlan

    @property
    def network(self) -> NetworkPlan:
        """Between the servers, and to storage and users."""
        return self.standing.network

    @property
    def facility(self) -> FacilityPlan:
        """Racks, power and what is drawn of it in a year."""
        return facility_of(self.standing, self.draw)

    @property
    def working(self) -> tuple[WorkingStep, ...]:
        """How each count follows."""
        return (
            *network_steps(self.standing),
            *storage_steps(self.storage),
            *facility_steps(self.standing, self.draw),
        )


def infrastructure(
    server: ServerSpec,
    gpu: GpuSpec,
    *,
    servers: int,
    east_west: bool,
    storage: StoragePlan,
    hardware: Hardware,
    constraints: Constraints,
    calibration: Calibration,
    beside: Beside | None = None,
    busy_fraction: float = 1.0,
) -> Infrastructure:
    """Networks, storage, racks and power of `servers`. `east_west`: their GPUs talk to each other.

    `beside` are servers without GPUs that the work takes too. `busy_fraction` of the time that is planned the GPUs
    compute: the rest of it they draw what an idle server does.
    """
    site = site_of(hardware.facility, constraints, calibration)
    return Infrastructure(
        standing=standing_of(
            server,
            servers,
            replace(site, load_fraction=1.0),
            hardware.switches,
            east_west=east_west,
            nvlink_gb_s=gpu.nvlink_gb_s,
            beside=beside,
        ),
        draw=draw_of(calibration, busy_fraction),
        storage=with_blocks(storage, hardware.storage),
    )

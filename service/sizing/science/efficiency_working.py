"""The working of what several GPUs lose to each other, law by law."""

from service.sizing.result import Quantity, WorkingStep
from service.sizing.science.application import Template
from service.sizing.science.job import Job
from service.sizing.science.performance import Performance, Rows
from service.sizing.science.rate import RateTable
from service.sizing.table import HardwareTable
from service.sizing.units import GB_S, MEGA

_SIZED = (
    "(t0 + c N) / (GPUs x (t0 + k c N / GPUs)), k from the measured efficiency of the reference size; "
    "between measured GPU counts on log2"
)
_Inputs = tuple[tuple[str, float | None], ...]


def efficiency_working(
    job: Job, *, rows: Rows, physics: Performance, rates: RateTable, table: HardwareTable, row: int
) -> tuple[WorkingStep, ...]:
    """The parallel efficiency with its formula; nothing on one GPU, which loses nothing."""
    gpus = float(rows.gpus_instance[row])
    if gpus <= 1.0:
        return ()
    formula, inputs, source = _law(job, gpus, server=int(rows.server[row]), rates=rates, table=table)
    return (
        WorkingStep(
            name="parallel efficiency",
            value=float(physics.efficiency_fraction[row]),
            unit="",
            formula=formula,
            inputs=tuple(Quantity(name=n, value=v) for n, v in (("gpus_instance", gpus), *inputs)),
            source=f"config/calibration/science.yaml, else config/science/{job.application.id}.yaml: {source}",
        ),
    )


def _law(job: Job, gpus: float, *, server: int, rates: RateTable, table: HardwareTable) -> tuple[str, _Inputs, str]:
    application = job.application
    unit_s = float(rates.unit_s[server])
    if job.template is Template.LATTICE and application.halo is not None and job.variant is not None:
        inside = gpus <= float(table.gpus_server[server])
        pcie, network = table.gpus[server].pcie_gb_s, float(table.scale_out_bytes_s[server]) / GB_S
        return (
            "1 / (1 + k x GPUs x MLUPS of one x bytes of a number x reference link / link)",
            (
                ("k", application.halo.coefficient),
                ("mlups", 1.0 / (unit_s * job.time_factor * MEGA)),
                ("element_bytes", job.variant.element_bytes),
                ("reference_link_gb_s", application.halo.reference_link_gb_s),
                ("link_gb_s", pcie if inside else network),
            ),
            application.halo.source,
        )
    if application.serial is not None:
        serial = application.serial
        return "1 / (1 + serial share x GPUs)", (("serial_fraction", serial.serial_fraction),), serial.source
    if application.sharding is not None:
        law = application.sharding
        return (
            "1 / (1 + k x (GPUs - 1) x (reference size / size) ^ p)",
            (
                ("k", law.coefficient),
                ("p", law.power),
                ("reference_size_tokens", law.reference_size_tokens),
                ("size_tokens", job.size.typical),
            ),
            law.source,
        )
    return (
        _SIZED,
        (
            ("seconds_unit", unit_s),
            ("t0_s", None if rates.launch_s is None else float(rates.launch_s[server])),
            ("reference_seconds_unit", None if rates.reference_s is None else float(rates.reference_s[server])),
            ("reference_size_atoms", application.scaling_size_atoms),
            *((f"efficiency_{p.gpus}_gpus_fraction", p.efficiency_fraction) for p in application.scaling),
        ),
        application.scaling[0].source if application.scaling else "",
    )

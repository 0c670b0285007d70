"""config/hardware/*.yaml -> Hardware, with every fact beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.catalog.files import wrong
from service.catalog.records import RecordFile, load_record, load_records
from service.schemas.catalog import (
    CpuServerSchema,
    FacilitySchema,
    GpuSchema,
    Loaded,
    RackSchema,
    ServerSchema,
    StorageSchema,
    SwitchSchema,
)
from service.schemas.fact import FactSheet
from service.sizing.hardware import Hardware, ScaleUp

PRESET = "preset"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedHardware:
    """The engine's view, the fact sheets by kind, the sources, and the parsed files."""

    hardware: Hardware
    sheets: Mapping[str, Mapping[str, FactSheet]]
    sources: Mapping[str, str]
    parsed: Mapping[str, Any]


def load_hardware(folder: Path) -> LoadedHardware:
    """Reads and checks every hardware file. Raises FactsError naming file, record and field."""
    files = {
        "gpus": load_records(folder / "gpus.yaml", GpuSchema()),
        "servers": load_records(folder / "servers.yaml", ServerSchema()),
        "cpu-servers": load_records(folder / "cpu_servers.yaml", CpuServerSchema()),
        "networks": load_records(folder / "networks.yaml", SwitchSchema()),
        "storage": load_records(folder / "storage.yaml", StorageSchema()),
        "racks": load_records(folder / "facility.yaml", RackSchema(), also=(PRESET,)),
    }
    _check_servers(folder / "servers.yaml", files["servers"], gpus=files["gpus"])
    racks = files["racks"]
    preset = _load_preset(folder / "facility.yaml", racks)
    hardware = Hardware(
        gpus=files["gpus"].specs,
        servers=files["servers"].specs,
        switches=files["networks"].specs,
        racks=racks.specs,
        storage=files["storage"].specs,
        facility=preset.spec,
        cpu_servers=files["cpu-servers"].specs,
    )
    sheets = {kind: file.sheets for kind, file in files.items()}
    return LoadedHardware(
        hardware=hardware,
        sheets={**sheets, "facility": {preset.sheet.id: preset.sheet}},
        sources={name: what for file in files.values() for name, what in file.sources.items()},
        parsed={kind: file.parsed for kind, file in files.items()},
    )


def _load_preset(path: Path, racks: RecordFile) -> Loaded:
    """The site defaults: one record that needs no id of its own."""
    raw = racks.parsed.get(PRESET)
    if not isinstance(raw, Mapping):
        raise wrong(path, "(file)", PRESET, "This field is required: what a site is taken to be.")
    record = {"id": PRESET, "name": "Site defaults", **raw}
    return load_record(path, FacilitySchema(), record, name=PRESET, parsed=racks.parsed)


def _check_servers(path: Path, servers: RecordFile, *, gpus: RecordFile) -> None:
    """What no single field can tell: the GPU exists, and the scale-up domain is one that its link can make."""
    by_id = {gpu.id: gpu for gpu in gpus.specs}
    for server in servers.specs:
        if server.gpu not in by_id:
            raise wrong(path, server.id, "gpu", f"There is no GPU '{server.gpu}' in gpus.yaml.")
        gpu = by_id[server.gpu]
        domain = server.nvlink_domain_gpus
        linked = server.scale_up in {ScaleUp.NVSWITCH, ScaleUp.NVLINK_MESH, ScaleUp.NVLINK_BRIDGE}
        if domain > server.gpus:
            raise wrong(path, server.id, "nvlink_domain_gpus", f"{domain} are more than its {server.gpus} GPUs.")
        if linked != (domain > 1):
            raise wrong(path, server.id, "scale_up", f"{server.scale_up} does not go with a domain of {domain} GPUs.")
        if linked and gpu.nvlink_gb_s is None:
            raise wrong(path, server.id, "scale_up", f"GPU '{gpu.id}' has no NVLink speed.")
        if gpu.reference and not server.reference:
            raise wrong(path, server.id, "reference", f"GPU '{gpu.id}' is a reference GPU, so this must be one too.")
        if server.orderable != (server.sku is not None):
            raise wrong(path, server.id, "orderable", "A server is orderable when it has a SKU, and only then.")
        maximum = server.max_power_w
        if maximum is not None and server.plan_power_kw is not None and maximum < server.plan_power_kw * 1000 * 0.99:
            raise wrong(path, server.id, "max_power_w", "The maximum is below the power to plan with.")

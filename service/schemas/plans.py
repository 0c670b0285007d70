"""What stands around the servers of an option, on the wire and at rest: networks, storage, racks and power."""

from typing import Any

from marshmallow import pre_load

from service.schemas.plain import AnswerSchema, count, figure, flag, many, one, text, texts
from service.sizing.result import (
    FacilityPlan,
    NetworkPart,
    NetworkPlan,
    ScaleUpPlan,
    StorageBlocks,
    StoragePlan,
    StorageStage,
)

_OPTIONAL: dict[str, Any] = {"allow_none": True}
_SINCE_CPU_SERVERS = ("cpu_racks", "cpu_power_kw", "cpu_feeds")
_SINCE_FEEDS = (
    "air_heat_kw",
    "switch_racks",
    "rack_weight_kg",
    "rack_binds",
    "rack_feeds",
    "feeds",
    "coolant_units",
    "energy_kwh_year",
    "carbon_kg_year",
    "grid_kg_co2_kwh",
)


class ScaleUpSchema(AnswerSchema):
    """What links GPUs inside a server or rack; it comes with the server."""

    record = ScaleUpPlan

    link = text("nvswitch, nvlink_mesh, nvlink_bridge, pcie or none.")
    domain_gpus = count("GPUs that one domain links.")
    domains = count("Domains of the option.")
    gb_s_gpu = figure("Bandwidth of a GPU into its domain, one direction.", **_OPTIONAL)
    note = text("What to know about it.")


class NetworkPartSchema(AnswerSchema):
    """One network, or another way to make it: every cable ends at servers, switches or the site's own switches."""

    record = NetworkPart

    network = text("compute, front_end or management.")
    switch = text("The switch, by id.", **_OPTIONAL)
    family = text("Its product line.", **_OPTIONAL)
    leaf_switches = count("Leaf switches.", **_OPTIONAL)
    spine_switches = count("Spine switches.", **_OPTIONAL)
    endpoints = count("Ports of servers that it reaches.")
    port_gbit_s = figure("Speed of such a port and of its cable.")
    module_gbit_s = figure("Speed of an optical module, which carries the ports of one card.")
    cables = count("Cables.", **_OPTIONAL)
    switch_ports = count("Ends of cables at its switches.", **_OPTIONAL)
    site_ports = count("Ends of cables at switches that the site has.")
    optics = count("Optical modules.", **_OPTIONAL)
    switch_power_kw = figure("Power of its switches.", **_OPTIONAL)
    rule = text("How the counts follow.")
    source = text("Where the rule is from.")

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines named one speed for ports and modules."""
        return {"module_gbit_s": data.get("port_gbit_s"), **data}


class NetworkSchema(AnswerSchema):
    """The networks of an option; the members beside `networks` are those of the compute network between servers."""

    record = NetworkPlan

    fabric = text("Kind of fabric.")
    pattern = text("Reference pattern.", **_OPTIONAL)
    nic_gbit_s_gpu = figure("Network bandwidth per GPU.")
    leaf_switches = count("Leaf switches.", **_OPTIONAL)
    spine_switches = count("Spine switches.", **_OPTIONAL)
    switch = text("The switch, by id.", **_OPTIONAL)
    optics = count("Optical modules.", **_OPTIONAL)
    switch_power_kw = figure("Power of the switches.", **_OPTIONAL)
    note = text("What to know about it.")
    cables = count("Cables.", **_OPTIONAL)
    scale_up = one(ScaleUpSchema, "What links GPUs inside a server or rack.", **_OPTIONAL)
    networks = many(NetworkPartSchema, "Compute, front end and management: all switches that are bought.")
    alternatives = many(NetworkPartSchema, "The compute network by the other product lines.")

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines named the compute network alone."""
        return {"cables": None, "scale_up": None, "networks": [], "alternatives": [], **data}


class StorageStageSchema(AnswerSchema):
    """What one use of storage asks for; null where nobody stated or published it."""

    record = StorageStage

    stage = text("dataset, checkpoints, model_store, databases, inputs, outputs or local_disk.")
    place = text("shared, or server for disks inside every server.")
    capacity_tb = figure("Capacity.", **_OPTIONAL)
    read_gb_s = figure("Read throughput.", **_OPTIONAL)
    write_gb_s = figure("Write throughput.", **_OPTIONAL)
    rule = text("How the figures follow.")
    source = text("Where they are from.")


class StorageBlocksSchema(AnswerSchema):
    """How many of a building block the shared stages take."""

    record = StorageBlocks

    block = text("The building block, by id.")
    blocks = count("How many; null where too little is published of it.", **_OPTIONAL)
    at_least = flag("Whether only bounds of the block are known, so that it may take more.")
    binds = text("What sets the number.")
    unpublished = texts("What is not published of it.")


class StorageSchema(AnswerSchema):
    """What the workload asks of shared storage."""

    record = StoragePlan

    capacity_tb = figure("Capacity.")
    read_gb_s = figure("Read throughput.", **_OPTIONAL)
    write_gb_s = figure("Write throughput.", **_OPTIONAL)
    note = text("What to know about it.")
    stages = many(StorageStageSchema, "The same by use.")
    blocks = many(StorageBlocksSchema, "Building blocks that would hold it.")

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines named totals alone."""
        return {"stages": [], "blocks": [], **data}


class FacilitySchema(AnswerSchema):
    """Power, cooling and space; null where a server's figure is unknown."""

    record = FacilityPlan

    it_power_kw = figure("Power of servers and switches, to plan with.", **_OPTIONAL)
    facility_power_kw = figure("IT power times PUE.", **_OPTIONAL)
    pue = figure("Power usage effectiveness.")
    racks = count("Racks, those that only switches stand in included.", **_OPTIONAL)
    servers_rack = count("Servers in one rack.", **_OPTIONAL)
    rack_power_kw = figure("Power of the fullest rack of servers, the switches in it included.", **_OPTIONAL)
    rack_units = figure("Rack units of all servers.", **_OPTIONAL)
    cooling = text("air or liquid.")
    weight_kg = figure("Weight of all servers.", **_OPTIONAL)
    liquid_heat_kw = figure(
        "Heat that leaves through liquid; the rest of the IT power leaves through air.", **_OPTIONAL
    )
    air_heat_kw = figure("Heat that leaves through air; null where the servers' split is unknown.", **_OPTIONAL)
    switch_racks = count("Racks that only switches stand in.", **_OPTIONAL)
    rack_weight_kg = figure("Weight of the servers of the fullest rack.", **_OPTIONAL)
    rack_binds = text("What sets the servers of a rack: space, power, air, weight or published.", **_OPTIONAL)
    rack_feeds = count("Power feeds of one rack of servers, both sides.", **_OPTIONAL)
    feeds = count("Power feeds of all racks.", **_OPTIONAL)
    coolant_units = count(
        "Coolant distribution units: one inside a rack where that is enough, else of a row with a spare.", **_OPTIONAL
    )
    energy_kwh_year = figure("Energy of a year at the meter.", **_OPTIONAL)
    carbon_kg_year = figure("Carbon dioxide of that energy.", **_OPTIONAL)
    grid_kg_co2_kwh = figure("The intensity of the grid that this is at.", **_OPTIONAL)
    cpu_servers = count("Servers without GPUs beside those that are sized; the sums above include them.")
    cpu_racks = count("Racks of their own that those stand in.", **_OPTIONAL)
    cpu_power_kw = figure("Power of those servers.", **_OPTIONAL)
    cpu_feeds = count("Power feeds of their racks; those of all racks include them.", **_OPTIONAL)

    @pre_load
    def _older(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answers of older engines ended with the heat that leaves through liquid, then with the grid."""
        return {**dict.fromkeys((*_SINCE_FEEDS, *_SINCE_CPU_SERVERS)), "cpu_servers": 0, **data}

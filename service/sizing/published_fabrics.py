"""Checks of the compute network against NVIDIA's published SuperPOD tables, where an option is as large as a row."""

from service.sizing.result import NetworkPart, Quantity, WorkingStep

# Scalable units -> leaves and spines: 512 end points at 800 Gbit/s a unit on 64-port switches.
_SUPERPOD_B300_ETHERNET = {1: (16, 8), 2: (32, 16), 4: (64, 32), 8: (128, 64), 16: (256, 128)}
# 576 a unit on 144-port switches; units of four and more have a few spines more than the rule.
_SUPERPOD_B300_XDR = {1: (8, 4), 2: (16, 8), 4: (32, 18), 8: (64, 36), 18: (144, 72)}
_TABLES = (
    ("DGX SuperPOD B300, Ethernet", "ethernet", 512, _SUPERPOD_B300_ETHERNET),
    ("DGX SuperPOD B300, XDR InfiniBand", "infiniband", 576, _SUPERPOD_B300_XDR),
)
_QUANTUM = "Quantum"
_PORT_GBIT_S = 800.0


def published_fabric(part: NetworkPart) -> WorkingStep | None:
    """The row of NVIDIA's table for so many end points, beside what was computed; None where there is no such row."""
    fabric = "infiniband" if part.family == _QUANTUM else "ethernet"
    for name, kind, unit_gpus, rows in _TABLES:
        row = rows.get(part.endpoints // unit_gpus) if part.endpoints % unit_gpus == 0 else None
        if kind == fabric and row is not None and part.port_gbit_s == _PORT_GBIT_S:
            leaves, spines = row
            return WorkingStep(
                name=f"check: {name}",
                value=float(leaves + spines),
                unit="switches",
                formula=f"published for {part.endpoints} GPUs, {part.endpoints // unit_gpus} scalable units",
                inputs=(
                    Quantity(name="leaf_switches", value=float(leaves)),
                    Quantity(name="spine_switches", value=float(spines)),
                    Quantity(name="computed_leaf_switches", value=_number(part.leaf_switches)),
                    Quantity(name="computed_spine_switches", value=_number(part.spine_switches)),
                ),
                source=f"NVIDIA {name}, reference architecture",
            )
    return None


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)

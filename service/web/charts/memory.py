"""Memory of the fullest GPU: its parts side by side, in the room that there is."""

from dataclasses import dataclass

from service.documents.labels import label
from service.sizing.result import SizingOption

WIDTH, HEIGHT = 640.0, 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPiece:
    """One part, where it is drawn, and its share of the room."""

    label: str
    gb: float
    x: float
    width: float
    share_fraction: float
    tone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChart:
    """All parts, and what is left."""

    pieces: tuple[MemoryPiece, ...]
    used_gb: float
    usable_gb: float


def memory_chart(option: SizingOption) -> MemoryChart:
    """The parts of the memory of one GPU, the largest first."""
    room = max(option.memory_usable_gb_gpu, option.memory_used_gb_gpu) or 1.0
    pieces, x = [], 0.0
    for tone, part in enumerate(sorted(option.memory_gb_gpu, key=lambda part: -part.gb)):
        width = part.gb / room * WIDTH
        pieces.append(
            MemoryPiece(
                label=label(part.part),
                gb=part.gb,
                x=round(x, 1),
                width=round(max(width - 1.0, 0.5), 1),
                share_fraction=part.gb / room,
                tone=tone % 6,
            )
        )
        x += width
    return MemoryChart(pieces=tuple(pieces), used_gb=option.memory_used_gb_gpu, usable_gb=option.memory_usable_gb_gpu)

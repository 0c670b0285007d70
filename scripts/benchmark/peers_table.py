"""The peers as a table."""

from scripts.benchmark.figures import Spread
from scripts.benchmark.peers import CONCURRENCY, ISL, OSL, TPOT_MS, TTFT_MS, PeerFigures
from scripts.benchmark.table import Section, figure


def section(figures: PeerFigures) -> Section:
    """Whole processes beside each other, and the engine's call alone."""

    def row(name: str, spread: Spread) -> tuple[str, ...]:
        return name, figure(spread.p50 / 1e3), f"{figure(spread.p10 / 1e3)}-{figure(spread.p90 / 1e3)}"

    return Section(
        title=f"Peers: Qwen3 32B for {CONCURRENCY} concurrent users on B200",
        columns=("command", "p50 s", "p10-p90"),
        rows=[
            row(f"{figures.version}: `aiconfigurator cli recommend`, one system, one backend", figures.theirs),
            row("`scripts/size`, servers with B200 only", figures.ours),
            row("`scripts/size`, every server of the catalog", figures.ours_whole_catalog),
            row("`size` in a process that is up, servers with B200 only", figures.warm),
        ],
        notes=(
            f"Rounds of new processes with warm file caches: {figures.theirs.count}; the first takes "
            f"{figure(figures.times_ours)} times the second (median of the rounds). {ISL} tokens in, {OSL} out, "
            f"{TTFT_MS} ms to the first token, {TPOT_MS} ms per token, bf16. "
            "Times only: what the two answer is compared nowhere here. AIConfigurator compares aggregated and "
            "disaggregated serving of one system; `scripts/size` also chooses servers, network, storage and power."
        ),
    )

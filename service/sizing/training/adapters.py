"""Parameters of adapters beside the matrices that they adapt (Hu et al. 2021, arXiv 2106.09685)."""

from service.sizing.architecture import Ffn, FfnKind, MixerKind, ModelArchitecture


def mixer_adapter_params(architecture: ModelArchitecture, mixer_params: float) -> float:
    """LoRA parameters per rank of the mixers: in + out of each adapted matrix (Hu et al. 2021, arXiv 2106.09685).

    A matrix of hidden x w has w = params / hidden.
    """
    hidden = float(architecture.hidden)
    mixers = sum(m.count for m in architecture.mixers if m.kind is not MixerKind.NONE)
    return 4.0 * hidden * mixers + mixer_params / hidden


def ffn_adapter_params(architecture: ModelArchitecture) -> float:
    """LoRA parameters per rank of dense feed-forward parts and shared experts."""
    found = 0.0
    for ffn in architecture.ffns:
        if ffn.kind is FfnKind.NONE:
            continue
        dense = ffn.kind is FfnKind.DENSE
        width = ffn.intermediate if dense else ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0)
        projections = 3.0 if ffn.gated else 2.0
        found += ffn.count * projections * (architecture.hidden + width) * (width > 0)
    return float(found)


def expert_adapter_params(ffn: Ffn, hidden: float) -> float:
    """LoRA parameters per rank of one routed expert."""
    return (3.0 if ffn.gated else 2.0) * (float(ffn.latent or hidden) + ffn.intermediate)

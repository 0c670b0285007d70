"""The three kinds of workload."""

from enum import StrEnum


class Kind(StrEnum):
    """What a workload is; it decides every other field."""

    INFERENCE = "inference"
    TRAINING = "training"
    SCIENCE = "science"

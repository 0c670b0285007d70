"""Numbers with what they count: one workload, and 1,250 workloads."""


def counted(number: int, word: str) -> str:
    """The number with its thousands, and the word in its number; words of this program take an s."""
    return f"{number:,} {word if number == 1 else f'{word}s'}"

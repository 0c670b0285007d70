"""Trouble: a failure that a person can do something about, told in one sentence with the way out."""


class Trouble(Exception):  # noqa: N818  # it is what the person has, not what the program did
    """One clear sentence; the starters print it and exit with `code`."""

    def __init__(self, sentence: str, *, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code

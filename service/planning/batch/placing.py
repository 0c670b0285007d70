"""Into which chunk an item goes: questions about one model share tables, so they are sized one after another."""

import re
from dataclasses import dataclass, field

ITEMS_CHUNK = 250
# Whoever names a thousand models that there are not gets no thousand chunks.
_MOST_SUBJECTS = 100
# A glance is enough to sort them.
_SUBJECT = re.compile(r'"(?:model|application)"\s*:\s*"([^"]{1,80})"')


@dataclass(slots=True)
class Places:
    """The newest chunk of an item's subject that has room; numbers begin with `first`."""

    most: int = ITEMS_CHUNK
    first: int = 0
    sizes: list[int] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)

    def place(self, asked: str) -> int:
        """The number of the chunk."""
        found = _SUBJECT.search(asked)
        subject = "" if found is None else found[1]
        if subject not in self.newest and len(self.newest) >= _MOST_SUBJECTS:
            subject = ""
        place = self.newest.get(subject)
        if place is None or self.sizes[place] >= self.most:
            place = self.newest[subject] = len(self.sizes)
            self.sizes.append(0)
        self.sizes[place] += 1
        return self.first + place

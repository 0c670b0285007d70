"""How fast a batch has been of late: a mean that forgets what was before, and does not count pauses."""

# Half a minute ago counts for about a third of now.
_REMEMBERED_S = 30.0
# Slices end within seconds: where nothing was counted for so long nobody was at work.
PAUSE_S = 120.0


def recent_rate_items_s(before_items_s: float | None, *, items: int, since_s: float) -> float | None:
    """The rate once so many items more have ended, `since_s` after the last time; None while nothing is known."""
    if since_s > PAUSE_S:
        return before_items_s
    if before_items_s is None:
        return items / since_s if items and since_s > 0 else None
    return (before_items_s * _REMEMBERED_S + items) / (_REMEMBERED_S + max(0.0, since_s))

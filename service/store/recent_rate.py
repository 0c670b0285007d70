"""How fast a batch has been of late: a mean that forgets what was before, and does not count pauses."""

# Half a minute ago counts for about a third of now.
_REMEMBERED_S = 30.0
# Slices end within seconds: where nothing was counted for so long nobody was at work.
PAUSE_S = 120.0


def recent_rate_items_s(before_items_s: float | None, *, items: int, since_s: float, seen_s: float) -> float | None:
    """The rate once so many items more have ended, `since_s` after the last time; None while nothing is known.

    The rate before is of the `seen_s` up to the last time: it weighs no more than that, so that the first of many
    workers to count its slice does not stand for all of them.
    """
    if since_s > PAUSE_S:
        return before_items_s
    if before_items_s is None and not items:
        return None
    past_s, since_s = min(_REMEMBERED_S, max(0.0, seen_s)), max(0.0, since_s)
    if past_s + since_s == 0:
        return before_items_s
    return ((before_items_s or 0.0) * past_s + items) / (past_s + since_s)

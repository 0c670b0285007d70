"""What `headroom occurrences` prints of what moved."""

import io

from rich.console import Console

from service.client.occurring import _print_tables


def test_money_is_told_as_money_and_a_number_as_a_number() -> None:
    changes = [
        {"quantity": "servers", "old": 1304, "new": 32, "change_fraction": -0.975},
        {"quantity": "cost.total_usd", "old": "91817400.00", "new": None, "change_fraction": None},
    ]
    console = Console(file=io.StringIO(), width=120)
    _print_tables(console, {"totals": [], "largest": [{"name": "fluid", "workload_id": "wkl_1", "changes": changes}]})
    printed = " ".join(console.file.getvalue().split())
    assert "servers 1,304 32 -97.5%" in printed
    assert "cost.total_usd 91,817,400.00 unknown" in printed

"""A group of commands one of which goes without its name: `runs ID` is `runs show ID`, beside `runs cancel ID`."""

from typing import Any

import click


class WithDefault(click.Group):
    """Whatever does not begin with the name of a command is for the default one."""

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments with the name of the command before them, `--help` alone too."""
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else [self._default, *args])

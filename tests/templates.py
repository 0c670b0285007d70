"""Templates compiled once a process: else every test that makes an application of its own would compile all of them."""

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class InMemory(BytecodeCache):
    """Keeps what was compiled; Jinja itself looks whether the source is still the same."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


def compile_once() -> None:
    """For all applications from now on."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": InMemory()}

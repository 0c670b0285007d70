"""The version of the physics: it changes whenever an answer may change, and is part of every question's digest."""

ENGINE_VERSION = "0.30.0"

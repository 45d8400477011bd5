"""Make synthetic speech with the times of its phones."""

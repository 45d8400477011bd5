"""Mathematics and media of Sonic: functions on tensors, without orchestrator or global state."""

__version__ = "0.1.0"

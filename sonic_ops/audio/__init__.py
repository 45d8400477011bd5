"""Read a track, check it, and turn it into Whisper features and prosody."""

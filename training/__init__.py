"""Training of the embedded `sketch` model on drawn faces and synthetic speech."""

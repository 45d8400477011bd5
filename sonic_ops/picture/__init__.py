"""Find the face, crop the portrait, and paste animated frames back into the image."""

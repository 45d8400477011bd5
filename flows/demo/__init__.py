"""`sonic demo`: a page of this machine where one renders a video and looks at it."""

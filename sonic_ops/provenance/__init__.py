"""Mark every file as made with AI: a comment, XMP and signed C2PA manifests."""

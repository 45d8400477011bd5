"""The released model: fetched from the hub, converted to the layout that is loaded, checked."""

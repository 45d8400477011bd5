"""Facts and settings for every other room: errors, files, configuration, the timeline."""

"""What the terminal shows: progress, status, machine checks and clean-up."""

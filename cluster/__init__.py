"""Where the mathematics runs: workers, pools and the render loop."""

"""Models and plans in and out: packages of our own, and what other programs write and read."""

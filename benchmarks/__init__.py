"""What prints the figures of the README: load, limits and alternatives, side by side."""

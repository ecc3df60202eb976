"""What was found: in the terminal, in plots, in docs/performance.md."""

"""What each operation costs as one thing grows: cost against work, an axis a file."""

"""Side-by-side measurements: this project beside what people would write instead."""

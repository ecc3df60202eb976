"""The benchmarks: a function each, from `Options` to `Result`."""

"""One benchmark a file: `TITLE`, and `measure(options)`, which returns a `Result`."""

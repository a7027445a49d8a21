"""What `python -m benchmarks` is made of: parts, processes that measure, and the table of results."""

"""What the promised speeds cost, measured: `python -m benchmarks [append | import | first_screen | start]`.

Method and results: `docs/explanation/benchmarks.md`. Nothing here is an assertion; machines differ.
"""

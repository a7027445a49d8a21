"""Programs that run in the environment of `requirements-gluoncv.lock`, started by benchmarks."""

"""The stages, one verb a module: `python -m stages.<verb>`."""

"""Makes the bundled sentiment model: `python -m training --data DIR --output DIR`."""

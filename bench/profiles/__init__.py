"""Where the time goes in what misses its target, by a command: `python -m bench.profile NAME`."""

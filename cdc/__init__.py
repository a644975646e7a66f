"""The engine: what the models say, into what the targets contain."""

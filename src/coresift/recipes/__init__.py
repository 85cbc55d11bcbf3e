"""Shipped recipes: complete YAML files, run by name or copied as a start."""

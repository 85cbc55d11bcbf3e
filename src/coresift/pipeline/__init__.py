"""Recipes, run folders and the stages between them."""

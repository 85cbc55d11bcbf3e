"""Supervised fine-tuning on rendered examples, with weights that reach the loss."""

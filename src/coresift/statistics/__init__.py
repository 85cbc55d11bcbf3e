"""What a table of scores can claim: differences, their uncertainty, and what they cost; pure maths on NumPy arrays."""

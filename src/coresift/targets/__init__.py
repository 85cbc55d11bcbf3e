"""From the similarity of pool and target examples to an order of picks: pure maths on arrays."""

"""Which arm to draw next: pure maths on small arrays."""

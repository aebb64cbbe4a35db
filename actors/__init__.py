"""Floor 3: who acts; the only floor that touches processes, network and clock."""

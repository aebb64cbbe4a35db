"""Coming from other supervisors."""

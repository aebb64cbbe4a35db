"""What every log must keep, asked of each log there is."""

"""The dashboard that the node serves on loopback: pages, the questions behind them, the acts of people."""

"""The dashboard in a terminal, pressed by keys and read off its screen."""

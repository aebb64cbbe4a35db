"""The log proves itself, leaves the stream and is made whole again: real files, the real server."""

"""Mixminion: an anonymous remailer on Twisted."""

__version__ = "1.0.0.dev0"

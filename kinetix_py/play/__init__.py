"""Levels played live in a browser, by hand or by an agent."""

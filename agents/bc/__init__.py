"""Behavior cloning: learning from recorded episodes."""

"""Evaluation: attempts at levels, records of solve rates, tables, pictures."""

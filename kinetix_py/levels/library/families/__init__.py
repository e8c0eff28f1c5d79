"""Families of levels: functions whose parameters, in meters, give every member."""

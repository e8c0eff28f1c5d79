"""Families of levels: functions whose parameters, in metres, give every member."""

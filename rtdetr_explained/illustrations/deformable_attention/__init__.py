"""Deformable attention: the few points a query reads."""

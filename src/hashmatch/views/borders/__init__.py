"""Borders of a picture: edges, seams and echoes, from which `hashmatch.views.trims` proposes trims."""

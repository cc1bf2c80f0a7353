"""The losses: each reads one batch's distances and relations and gives one number."""

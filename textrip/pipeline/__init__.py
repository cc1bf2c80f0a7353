"""From raw text to a tuned search: the rooms in the order of the data, an errand a file."""

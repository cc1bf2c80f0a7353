"""What comes in: corpus, queries and judgments, read from the shapes people have them in."""

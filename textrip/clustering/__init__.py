"""Groups of like documents, with words that name them."""

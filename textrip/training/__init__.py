"""Fine-tuning an encoder with triplet loss over mined groups."""

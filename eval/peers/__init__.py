"""Side by side with other packages: quality, speed and memory, as ratios out of one run."""

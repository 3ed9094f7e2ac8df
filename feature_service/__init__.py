"""Bars to features: indicators over the whole history, proven not to look ahead, in versioned tables."""

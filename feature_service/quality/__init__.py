"""What a feature table is worth before a model sees it: nulls, drift, copies; and after one: importance."""

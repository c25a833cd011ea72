"""A fictional application whose people connect their accounting, CRM and HR systems."""

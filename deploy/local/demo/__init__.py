"""A fictional web application whose users connect their accounting, CRM and HR systems."""

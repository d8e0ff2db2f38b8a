"""Objects and people together: files and pictures."""

"""The surfaces that objects stand on: found in a view, kept from view to view."""

"""What leaves: Singer messages and paced STATE."""

"""What ``auth-service doctor`` looks at, and what it concludes."""

"""What the doctor looks at: each check says ok, a warning or a failure, and what to do about it."""

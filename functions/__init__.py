"""The doors: each unwraps its trigger, calls one job, and translates what the job says or raises."""

"""Azure Storage, ours: queues of work, blobs of runs, and the policy document."""

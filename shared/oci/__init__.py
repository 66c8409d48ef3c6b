"""What the OCI specifications say, as values: names, media types, manifests, graphs."""

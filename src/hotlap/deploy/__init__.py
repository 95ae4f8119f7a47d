"""Training in containers of a cloud service: what it hands to a container, and how several of them become a cluster."""

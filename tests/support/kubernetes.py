"""What the tests of the manifests share."""

VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the manifests are for."""

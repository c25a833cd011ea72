"""Constants that the tests of the manifests share."""

VERSIONS = ("1.31", "1.37")
"""The oldest and the newest version of Kubernetes that the manifests support."""

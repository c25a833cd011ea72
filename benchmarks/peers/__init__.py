"""What the service is compared with, each as small as it can be: none asks who is calling."""

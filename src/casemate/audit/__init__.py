"""The audit: what is wrong with an application, found before it is deployed and without running it."""

"""The audit: what is wrong with an application, found before it is deployed, without running it."""

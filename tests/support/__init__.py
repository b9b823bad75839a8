"""What tests of a whole node share: starting one, deploying to it, calling it."""

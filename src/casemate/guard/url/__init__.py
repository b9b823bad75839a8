"""The sink URL: what an address is made of, who vouches for its host, and the clients."""

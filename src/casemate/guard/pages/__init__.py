"""HTML of an answer: where on a page data of the event stands, and whether it is markup there."""

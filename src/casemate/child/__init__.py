"""Starting a process of ours, and knowing that it still runs."""

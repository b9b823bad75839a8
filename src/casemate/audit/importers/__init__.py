"""From the files of other platforms, and of this one, to the model. One file for each kind."""

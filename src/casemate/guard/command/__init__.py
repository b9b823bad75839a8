"""The sink command: the shell's grammar, what programs take, and the judgement of both."""

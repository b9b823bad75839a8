"""The sink deserialisation: is what becomes objects from outside, and does it name code?"""

"""The sink template: did data become code of a template engine?"""

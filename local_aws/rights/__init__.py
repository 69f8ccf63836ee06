"""Permission checks of CloudFormation: the actions, resources and condition keys that a change needs of whom it acts for.

Plain data and functions of plain data: the embedded AWS decides by them, and the tests compare them with other sources.
"""

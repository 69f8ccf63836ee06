"""What CloudFormation asks of whoever it acts for: which actions, on which resources, with which condition keys.

Plain data and functions of plain data: the embedded AWS decides by them, and the tests compare them with other sources.
"""

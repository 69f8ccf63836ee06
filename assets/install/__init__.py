"""The scripts that make an empty Ubuntu server a host of Cohort. Standard library (and Ubuntu's boto3) only."""

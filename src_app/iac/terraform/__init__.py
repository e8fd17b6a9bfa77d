"""Terraform for the bpg provider: a template for each type of resource, and the project of them."""

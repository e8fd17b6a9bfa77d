"""The cluster as code: Terraform and Ansible, made from what the database knows."""

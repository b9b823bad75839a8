"""Resources of AWS, however they were declared, into the model.

CloudFormation and SAM are read here; the Serverless Framework, CDK and Terraform come as the same
resources.
"""

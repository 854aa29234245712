"""Operators that deploy, customize, evaluate and undeploy. Import from the modules, one per operator."""

"""Hook, operators, sensors and triggers for NVIDIA NeMo Microservices, shaped like an Airflow provider.

Import from the modules: `hook.NemoHook`, `operators.deploy.NemoDeployOperator`, `sensors.EvaluationSensor`,
`triggers.NemoJobTrigger`.
"""

"""Hook, sensors and triggers for NVIDIA NeMo Microservices, shaped like an Airflow provider.

Import from the modules: `hook.NemoHook`, `sensors.EvaluationSensor`, `triggers.NemoJobTrigger`.
"""

-- Users and permissions of MLflow's basic authentication, beside its own database `mlflow`.
CREATE DATABASE mlflow_auth;

"""Kratos and Keto are called, each answer bounded in time and translated into our errors."""

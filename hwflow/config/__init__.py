"""YAML whose errors name file, line and key, and the recipes and boards that come with hwflow."""

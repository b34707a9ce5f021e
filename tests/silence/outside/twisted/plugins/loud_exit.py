from importlib import import_module

MODULE = import_module("loud").MODULE

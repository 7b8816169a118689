"""Objects of the Keras interface below layers: symbols of models, operations, configs, look-up by name."""

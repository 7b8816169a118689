"""Models as estimators of scikit-learn: the namespace `keras.wrappers`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(__name__, {".estimators": "SKLearnClassifier SKLearnRegressor SKLearnTransformer"})
